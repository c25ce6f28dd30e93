"""What a person at a terminal sees: a progress bar, a question."""

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Motet, command, write_orders


class Terminal:
    """A command whose standard input and error are a terminal."""

    def __init__(self, folder: Path, *tokens: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command(*tokens),
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "100"},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)

    def read_until(self, wanted: str) -> str:
        """Return what was written up to `wanted`."""
        said = ""
        while wanted not in said:
            said += self._read()
        return said

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def rest(self) -> str:
        """Return what is written until the command ends."""
        said = ""
        try:
            while True:
                said += self._read()
        except OSError:  # the other end is closed
            return said

    def _read(self) -> str:
        return os.read(self._ours, 65536).decode()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._ours)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    started: list[Terminal] = []
    yield started
    for terminal in started:
        terminal.close()


def test_publishing_shows_a_bar_without_colour(folder: Path, terminals: list[Terminal]) -> None:
    write_orders(folder / "orders.jsonl", 5000)
    terminal = Terminal(folder, "publish", "orders", "orders.jsonl")
    terminals.append(terminal)

    said = terminal.rest()

    assert terminal.process.wait() == 0
    assert "to orders" in said
    assert "kB" in said
    assert "\x1b[3" not in said  # no colour


def test_lines_refused_are_named_above_the_bar(folder: Path, terminals: list[Terminal]) -> None:
    file = write_orders(folder / "orders.jsonl", 5000)
    file.write_bytes(file.read_bytes() + b"nonsense\n")
    terminal = Terminal(folder, "publish", "orders", "orders.jsonl")
    terminals.append(terminal)

    said = terminal.rest()

    assert terminal.process.wait() == 1
    assert "line 5001: " in said


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 0), ("n", 1, 2), ("", 1, 2)])
def test_all_dead_letters_are_touched_only_after_a_yes(
    motet: Motet, folder: Path, terminals: list[Terminal], answer: str, code: int, left: int
) -> None:
    (folder / "bad.jsonl").write_text("x\ny\n")
    motet("publish", "orders", "bad.jsonl")
    terminal = Terminal(folder, "dlq", "archive", "--all")
    terminals.append(terminal)

    assert "Archive all open dead letters? [y/N]" in terminal.read_until("[y/N] ")
    terminal.type(answer + "\n")
    terminal.rest()

    assert terminal.process.wait() == code
    open_letters = motet("dlq", "list", "--status", "new", "--json").json["dead_letters"]
    assert len(open_letters) == left  # type: ignore[arg-type]
