"""A shell that is typed into, as a reader of a page would."""

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic
from types import TracebackType
from typing import Self

# What is typed comes in on descriptor 9, ended by NUL, so that a command which reads standard
# input does not take the rest of the page for its own.
_LOOP = """
exec 9<&"$1"
number=0
while IFS= read -r -d '' -u 9 line; do
  eval "$line" 9<&-
  status=$?
  printf '\\n@@@ %s ended with %s\\n' "$((number++))" "$status"
done
jobs=$(jobs -p)
[ -z "$jobs" ] || kill $jobs
wait
"""
_NOTICE = re.compile(r"^\S+: line \d+: +\d+ (?:Killed|Terminated|Done)\b.*\n?", re.MULTILINE)
_LOOK_S = 0.02


class Shell:
    """One bash in a folder, for a page. Leaving the block stops the jobs that were started in it.

    What takes longer than `limit_s` seconds, all commands together, fails with what was printed.
    """

    def __init__(self, folder: Path, *, limit_s: float) -> None:
        self._folder = folder
        self._end_s = monotonic() + limit_s
        self._typed = 0
        self._jobs: list[Path] = []
        self._output = b""

    def __enter__(self) -> Self:
        source, self._input = os.pipe()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._bash = subprocess.Popen(
            ["bash", "-c", _LOOP, "bash", str(source)],
            cwd=self._folder,
            env={**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "USER": "you"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(source,),
            start_new_session=True,
        )
        os.close(source)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._input)
        try:
            self._bash.wait(timeout=10 if kind is None else 0.5)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)  # a session of its own: nobody else is in it
            self._bash.wait()
        if self._bash.stdout is not None:
            self._bash.stdout.close()

    def type(self, line: str) -> str:
        """Type a command and return what it printed, without what bash says about its jobs."""
        os.write(self._input, line.encode() + b"\0")
        mark = f"\n@@@ {self._typed} ended with ".encode()
        self._typed += 1
        while mark not in self._output:
            self._read(line)
        printed, _, rest = self._output.partition(mark)
        self._output = rest.partition(b"\n")[2]
        return _NOTICE.sub("", printed.decode(errors="replace")).strip()

    def start(self, line: str, *, until: Callable[[str], bool]) -> str:
        """Start a job and return what it had printed once `until` held, or when it gave up."""
        place = self._folder.with_name(f"{self._folder.name}.job{len(self._jobs)}")
        self._jobs.append(place)
        place.touch()
        self.type(f"{line.removesuffix('&')} > {place} 2>&1 &")
        printed = ""
        while monotonic() < self._end_s:
            printed = place.read_text(errors="replace")
            if until(printed):
                break
            Event().wait(_LOOK_S)
        return printed.strip()

    def _read(self, line: str) -> None:
        assert self._bash.stdout is not None
        left_s = self._end_s - monotonic()
        if not select.select([self._bash.stdout], [], [], max(0.0, left_s))[0]:
            raise AssertionError(f"{line!r} did not end; it printed:\n{self._output.decode()}")
        more = os.read(self._bash.stdout.fileno(), 65536)
        if not more:
            raise AssertionError(f"{line!r} ended the shell; it printed:\n{self._output.decode()}")
        self._output += more
