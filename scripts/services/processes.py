"""A server as a process of its own, found again by its pid file.

A pid may have gone to somebody else's process since the file was written, so nothing is signalled
whose command line does not hold the words that only ours has.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic

from scripts.services.ties import Tie

_LOOK_S = 0.02


def until(done: Callable[[], bool], *, limit_s: float, look_s: float = _LOOK_S) -> bool:
    """Wait until something holds; whether it came to hold within the limit."""
    end_s = monotonic() + limit_s
    while not done():
        if monotonic() > end_s:
            return False
        Event().wait(look_s)
    return True


def command_line(pid: int) -> str:
    """What a process was started with; empty: there is none, or it has ended."""
    if Path("/proc/self").exists():
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return raw.replace(b"\0", b" ").decode(errors="replace").strip()
    shown = subprocess.run(
        ["ps", "-o", "stat=,command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return "" if shown.startswith("Z") else shown


def children(pid: int) -> list[int]:
    """Processes that a process has started and that run; empty where there is no /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


class Process:
    """A server process of a folder: `NAME.pid` and `NAME.log` there are its own.

    Args:
        words: what its command line holds and no other process's does.
        tied: it is killed when the process that started it ends, however that ends.
    """

    def __init__(self, folder: Path, name: str, *, words: Sequence[str], tied: bool) -> None:
        self.log = folder / f"{name}.log"
        self._pid_file = folder / f"{name}.pid"
        self._words = words
        self._tied = tied
        self._child: subprocess.Popen[bytes] | None = None
        self._tie: Tie | None = None

    @property
    def pid(self) -> int | None:
        """The process's id; None: it is not running."""
        # Asking a child also makes sure that what has ended is no zombie. It needs no file: at the
        # end of a test process the folder may be gone already.
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None
        line = command_line(pid)
        return pid if line and all(word in line for word in self._words) else None

    def start(self, command: Sequence[str], *, environ: Mapping[str, str], folder: Path) -> None:
        """Start it with a log of its own; the log of the last time is kept as `NAME.log.1`."""
        if self.log.exists():
            self.log.replace(f"{self.log}.1")
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                command,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid_file.write_text(f"{self._child.pid}\n")
        if self._tied:
            self._tie = Tie(self._child.pid)

    def ended(self) -> int | None:
        """The exit code of what `start` of this object started; None: it runs."""
        return None if self._child is None else self._child.poll()

    def stop(self, number: signal.Signals, *, limit_s: float) -> None:
        """Ask it to end, insist after `limit_s` seconds, return when it has ended."""
        pid = self.pid
        if pid is not None:
            _signal(pid, number)
            if not until(lambda: self.pid is None, limit_s=limit_s):
                self.kill()
        self._pid_file.unlink(missing_ok=True)
        self._forget()

    def kill(self) -> None:
        """End it and what it has started with SIGKILL, return when it has ended."""
        pid = self.pid
        if pid is not None:
            family = [pid, *children(pid)]
            for each in family:
                _signal(each, signal.SIGKILL)
            until(lambda: self.pid is None and not any(map(command_line, family)), limit_s=10)
        self._forget()

    def _forget(self) -> None:
        if self._child is not None:
            self._child.wait(10)  # its last breath: the command line is gone a moment earlier
            self._child = None
        if self._tie is not None:
            self._tie.cut()
            self._tie = None

    def tail(self, lines: int = 20) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it may have ended by itself
        os.kill(pid, number)
