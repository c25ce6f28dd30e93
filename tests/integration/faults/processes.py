"""Worker processes of the application: started, stopped for a while, killed."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from motet.testing.contracts.consuming import background
from motet.testing.simulation import until
from tests.integration.faults.running import CLOCK, Counting, connected

_ROOT = Path(__file__).parents[3]
_APP = "tests.integration.faults.counting:app"


class Workers:
    """Processes that share the work; those that are left are killed at the end."""

    def __init__(self, url: str, folder: Path) -> None:
        self._command = [
            *(sys.executable, "-m", "motet", "worker", _APP, "--json"),
            *("--url", url, "--store", f"sqlite:///{folder}/state.db"),
        ]
        self._log = folder / "workers.log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start one more; it is at work a second or two later."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(self._command, cwd=_ROOT, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End one with SIGKILL; it must not have ended before."""
        assert process.poll() is None, self._log.read_text()[-5000:]
        process.kill()
        process.wait()
        self.processes.remove(process)


@contextmanager
def workers(url: str, folder: Path) -> Iterator[Workers]:
    """No worker yet; none is left behind."""
    found = Workers(url, folder)
    try:
        yield found
    finally:
        for process in found.processes:
            process.kill()
            process.wait()


@asynccontextmanager
async def worked(url: str, folder: Path, *, count: int) -> AsyncIterator[tuple[Counting, Workers]]:
    """So many worker processes, and a publisher in this one; at the end all is checked."""
    async with connected(url, folder) as counting:
        with workers(url, folder) as crew:
            for _ in range(count):
                crew.start()
            async with background(counting.publish()):
                await counting.moved_on(within_s=60.0)
                yield counting, crew
            await counting.settled()


async def freeze(process: subprocess.Popen[bytes], counting: Counting) -> None:
    """Stop a process with SIGSTOP, but not where it has the turn to write to the store.

    Then nobody else could write until it goes on (decision 9): that is another fault.
    """
    while True:
        os.kill(process.pid, signal.SIGSTOP)
        before = await handled(counting)
        try:
            await until(lambda before=before: _more(counting, before), CLOCK, timeout_s=1.5)
        except TimeoutError:
            thaw(process)
            await counting.moved_on()
        else:
            return


def thaw(process: subprocess.Popen[bytes]) -> None:
    """Let a stopped process go on as if nothing had been."""
    os.kill(process.pid, signal.SIGCONT)


async def handled(counting: Counting) -> int:
    """How many events the groups have in their state, together."""
    return sum([len(n) for group in ("fold", "seen") for n in await counting.counted(group)])


async def _more(counting: Counting, before: int) -> bool:
    # Twice: what was on its way to the file when the process stopped does not count.
    return await handled(counting) > before + 20
