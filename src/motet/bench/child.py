"""Processes of a benchmark: they start, say ready, wait for the word, and report in JSON."""

import asyncio
import resource
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence

import msgspec

from motet.core.errors import MotetError

_START_S = 60.0  # a process that is not ready by then is given up


class Result(msgspec.Struct, frozen=True):
    """What a process of a benchmark reports. Instants are of the monotonic clock of the machine."""

    began_ns: int = 0
    ended_ns: int = 0
    cpu_s: float = 0.0  # user and system time, from the word to go
    peak_bytes: int = 0  # largest resident size
    latencies_us: list[int] = []
    backend: str = ""  # for one that was asked what it talks to
    durability: str = ""

    @property
    def wall_s(self) -> float:
        """How long it was at work, in seconds."""
        return (self.ended_ns - self.began_ns) / 1e9


def go() -> float:
    """Say ready and wait for the word; return the CPU seconds used until now, for `report`.

    Raises:
        MotetError: the word never came: whoever started this process is gone.
    """
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if not sys.stdin.readline():
        raise MotetError("whoever started this process of the benchmark is gone")
    return time.process_time()


def report(result: Result, *, before_s: float) -> None:
    """Write the result, with this process's CPU time since `go` and its peak memory filled in."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    full = msgspec.structs.replace(
        result,
        cpu_s=time.process_time() - before_s,
        peak_bytes=used.ru_maxrss * 1024,
    )
    sys.stdout.write(msgspec.json.encode(full).decode() + "\n")
    sys.stdout.flush()


async def start(module: str, *args: str) -> Process:
    """Start `python -m MODULE ARGS` and wait until it is ready.

    Raises:
        MotetError: it ended, or was not ready within a minute.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *args, stdin=PIPE, stdout=PIPE, limit=1 << 26
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(_START_S):
            line = await child.stdout.readline()
    except BaseException as err:
        await _end(child)
        if isinstance(err, TimeoutError):
            raise MotetError(f"{module} was not ready within {_START_S:g} s") from err
        raise
    if line != b"ready\n":
        await _end(child)
        raise MotetError(f"{module} did not start; its output is above")
    return child


async def finish(children: Sequence[Process], *, within_s: float) -> list[Result]:
    """Give all of them the word at once, and return what they report, in order.

    Raises:
        MotetError: one ended early, or they did not end in time; all of them are ended then.
    """
    try:
        async with asyncio.timeout(within_s):
            for child in children:
                assert child.stdin is not None
                child.stdin.write(b"go\n")
            return [await _result(child) for child in children]
    except TimeoutError as err:
        raise MotetError(f"the benchmark's processes did not end within {within_s:g} s") from err
    finally:
        for child in children:
            await _end(child)


async def run(module: str, *args: str, within_s: float) -> Result:
    """Start one process, give it the word, and return what it reports.

    Raises:
        MotetError: as for `start` and `finish`.
    """
    (result,) = await finish([await start(module, *args)], within_s=within_s)
    return result


async def _end(child: Process) -> None:
    if child.returncode is None:
        child.kill()
        await child.wait()


async def _result(child: Process) -> Result:
    assert child.stdout is not None
    line = await child.stdout.readline()
    if not line:
        raise MotetError("a process of the benchmark ended early; its output is above")
    await child.wait()
    return msgspec.json.decode(line, type=Result)
