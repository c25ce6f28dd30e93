"""Where all output goes out: results on standard output, the rest on standard error."""

import os
import select
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import msgspec

from motet.cli.tables import Column, table, visible
from motet.telemetry import masked

if TYPE_CHECKING:
    from rich.console import Console as Rich


class Console:
    """One command's output. With `as_json`, standard output carries JSON and nothing else.

    Writing raises `BrokenPipeError` when the reader has gone.
    """

    def __init__(
        self, *, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self._out = out if out is not None else sys.stdout
        self._err = err if err is not None else sys.stderr
        self._live: Rich | None = None

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None when the output is read by a program, which wants all."""
        return shutil.get_terminal_size().columns if self._out.isatty() else None

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to answer a question."""
        return sys.stdin is not None and sys.stdin.isatty() and self._err.isatty()

    def text(self, line: str = "") -> None:
        """Write a line for a person; nothing when JSON was asked for."""
        if not self.as_json:
            self._write(f"{line}\n".encode(self._out.encoding or "utf-8", "backslashreplace"))

    def document(self, value: object) -> None:
        """Write one JSON document, when JSON was asked for."""
        if self.as_json:
            self._write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")

    def record(self, value: object) -> None:
        """Write one line of a stream of JSON, when JSON was asked for."""
        if self.as_json:
            self._write(msgspec.json.encode(value) + b"\n")

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> None:
        """Write a table for a person."""
        for line in table(columns, rows, width=self.width):
            self.text(line)

    def flush(self) -> None:
        """Hand on what is written, so that a reader sees it now."""
        self._out.flush()

    def note(self, text: str) -> None:
        """Say something beside the results: on standard error, one line, secrets masked."""
        line = visible(masked(text))
        if self._live is not None:
            self._live.print(line, markup=False, highlight=False, soft_wrap=True)
            return
        encoding = self._err.encoding or "utf-8"
        self._err.write(f"{line}\n".encode(encoding, "backslashreplace").decode(encoding))
        self._err.flush()

    def error(self, text: str) -> None:
        """Say in one line what went wrong and what to do."""
        self.note(f"motet: {text}")

    def traceback(self, text: str) -> None:
        """Write a traceback, secrets masked."""
        for line in masked(text).rstrip().splitlines():
            self.note(line)

    def ask(self, question: str) -> bool:
        """Ask a person for a yes; anything else is a no. Only when `interactive`."""
        self._err.write(f"{visible(masked(question))} [y/N] ")
        self._err.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def reader_gone(self) -> bool:
        """Whether the reader of standard output has closed its end of the pipe."""
        try:
            number = self._out.fileno()
        except (OSError, ValueError):
            return False
        poll = select.poll()
        poll.register(number, 0)  # errors are always reported
        return any(state & select.POLLERR for _, state in poll.poll(0))

    @contextmanager
    def progress(self, label: str, *, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        """Show a bar while the block runs, if somebody watches; what it yields takes bytes done."""
        if not self._err.isatty():
            yield lambda done: None
            return
        from rich.console import Console as Rich

        from motet.cli.bars import byte_bar

        self._live = Rich(file=self._err)
        try:
            with byte_bar(self._live, visible(label), total_bytes=total_bytes) as advance:
                yield advance
        finally:
            self._live = None

    def _write(self, line: bytes) -> None:
        self._out.buffer.write(line)


def silence() -> None:
    """Point standard output nowhere: after a broken pipe the interpreter would flush it again."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return
