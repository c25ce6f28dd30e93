"""What the FastStream contestants share: the work of their handlers, and when it began and ended.

FastStream is a development dependency: where it is not installed, these are left out.

Both kinds decode an event to a dict, route on its type, make another event of it, publish that and
acknowledge. A publish waits for the broker; an acknowledgement follows the handler, so that
nothing is lost: `AckPolicy.ACK` or `REJECT_ON_ERROR` in place of the acknowledgement ahead of the
handler, which is FastStream's default on Kafka. Its logger is off, for a line an event would be
most of what is measured. Not in the measured path: starting, joining the group, the first read.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from motet.bench.child import Result, go
from motet.bench.load import BrokerLoad
from motet.bench.orders import TYPES

Fact = dict[str, Any]  # as FastStream's own types have it
"""A decoded event."""


class Tally:
    """Counts what is done; the first handler called begins the time, the last publish ends it."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.began_ns = 0
        self.ended_ns = 0
        self.all_done = asyncio.Event()

    def begin(self) -> None:
        """Note that a handler was called."""
        if not self.began_ns:
            self.began_ns = time.monotonic_ns()

    def done(self, count: int = 1) -> None:
        """Note that what a handler made is published."""
        self._wanted -= count
        if self._wanted <= 0 and not self.ended_ns:
            self.ended_ns = time.monotonic_ns()
            self.all_done.set()


def _handler(event_type: str) -> Callable[[Fact], Fact]:
    def handle(event: Fact) -> Fact:
        return {**event, "eventType": event_type + ".handled"}

    return handle


HANDLERS = {each: _handler(each) for each in TYPES}


def handled(event: Fact) -> Fact:
    """Route an event to its handler; return what that makes of it."""
    return HANDLERS[str(event["eventType"])](event)


def all_handled(events: Sequence[Fact]) -> list[Fact]:
    """Return what the handlers make of several events."""
    return [handled(event) for event in events]


class Startable(Protocol):
    """A broker of FastStream."""

    async def start(self) -> None:
        """Begin to consume."""
        ...


async def drive(
    broker: AbstractAsyncContextManager[Startable], tally: Tally
) -> tuple[Result, float]:
    """Run a broker until all is done."""
    before_s = go()
    async with broker as opened:
        await opened.start()
        await tally.all_done.wait()
    return Result(began_ns=tally.began_ns, ended_ns=tally.ended_ns), before_s


def batched(load: BrokerLoad) -> bool:
    """Whether handlers take batches."""
    return load.mode == "batch"
