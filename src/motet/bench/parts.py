"""How the processes of a benchmark on a broker are called: `python -m MODULE ROLE LOAD`."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Mapping

import msgspec

from motet.bench.child import Result, go, report
from motet.bench.load import BrokerLoad

Part = Callable[[BrokerLoad], tuple[Result, float]]
"""What a role does: `go` and its work; returns what to report and what `go` returned."""


def play(parts: Mapping[str, Part]) -> None:
    """Play the role that the command line names, and report."""
    role, load = sys.argv[1:]
    result, before_s = parts[role](msgspec.json.decode(load, type=BrokerLoad))
    report(result, before_s=before_s)


def timed(work: Callable[[], None]) -> tuple[Result, float]:
    """Wait for the word, do the work, and say when it began and ended."""
    before_s = go()
    began_ns = time.monotonic_ns()
    work()
    return Result(began_ns=began_ns, ended_ns=time.monotonic_ns()), before_s


def awaited(work: Callable[[BrokerLoad], Coroutine[object, object, tuple[Result, float]]]) -> Part:
    """Return a part that runs a coroutine function to its end."""
    return lambda load: asyncio.run(work(load))
