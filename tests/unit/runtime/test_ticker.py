"""Schedules on a memory log, in simulated time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from motet.core.clock import format_time
from motet.core.errors import Unavailable
from motet.core.event import Event, Partition
from motet.drivers.memory import MemoryLog
from motet.resilience import RetryPolicy
from motet.runtime.ticker import Ticker
from motet.testing.simulation import START_US, SimClock, simulate
from motet.transports.memory import MemoryTransport

MINUTE_US = 60_000_000


class EveryMinute:
    """A tick at every full minute."""

    topic = "ticks"

    def next_us(self, after_us: int) -> int:
        return (after_us // MINUTE_US + 1) * MINUTE_US

    def event(self, tick_us: int) -> Event:
        minute = (tick_us - START_US) // MINUTE_US
        return Event(
            id=f"tick-{minute}",
            type="tick",
            time=format_time(tick_us),
            data=msgspec.Raw(msgspec.json.encode(minute)),
        )


class Stubborn(MemoryTransport):
    """A log that does not answer for a while."""

    def __init__(self, log: MemoryLog, *, refusals: int) -> None:
        super().__init__(log)
        self._refusals = refusals

    async def publish(self, topic: str, events) -> int:
        if self._refusals:
            self._refusals -= 1
            raise Unavailable("the log does not answer")
        return await super().publish(topic, events)


@asynccontextmanager
async def ticking(transport: MemoryTransport, clock: SimClock) -> AsyncIterator[Ticker]:
    ticker = Ticker(EveryMinute(), transport, clock=clock, retry=RetryPolicy())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(ticker.run(), name="ticker")
        yield ticker
        task.cancel()


async def ticks(transport: MemoryTransport) -> list[int]:
    """Minutes since the start, as published."""
    if not await transport.topics():
        return []
    batch = await transport.read(Partition("ticks", 0), offset=0, limit=1000)
    return [msgspec.json.decode(record.event.data) for record in batch.records]


def test_every_tick_is_published_when_it_is_due_and_not_before() -> None:
    async def program(clock: SimClock) -> None:
        transport = MemoryTransport(MemoryLog(clock, partitions=1))
        async with ticking(transport, clock):
            await clock.sleep(59.9)
            assert await ticks(transport) == []
            await clock.sleep(0.2)
            assert await ticks(transport) == [1]
            await clock.sleep(180.0)
        assert await ticks(transport) == [1, 2, 3, 4]

    simulate(program, seed=1)


def test_ticks_that_passed_while_nobody_ran_are_not_made_up_for() -> None:
    async def program(clock: SimClock) -> None:
        transport = MemoryTransport(MemoryLog(clock, partitions=1))
        async with ticking(transport, clock):
            await clock.sleep(90.0)
        await clock.sleep(600.0)
        async with ticking(transport, clock):
            await clock.sleep(60.0)
        assert await ticks(transport) == [1, 12]

    simulate(program, seed=1)


def test_ticks_that_passed_while_the_machine_slept_are_not_made_up_for() -> None:
    async def program(clock: SimClock) -> None:
        transport = MemoryTransport(MemoryLog(clock, partitions=1))
        async with ticking(transport, clock):
            await clock.sleep(30.0)
            clock.jump(600.0)
            await clock.sleep(100.0)
        # The one it was waiting for comes late, then the present goes on.
        assert await ticks(transport) == [1, 11, 12]

    simulate(program, seed=1)


def test_two_tickers_publish_each_tick_once() -> None:
    async def program(clock: SimClock) -> None:
        transport = MemoryTransport(MemoryLog(clock, partitions=1))
        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(ticking(transport, clock))
            await clock.sleep(310.0)
        assert await ticks(transport) == [1, 2, 3, 4, 5]

    for seed in range(3):
        simulate(program, seed=seed)


def test_a_tick_waits_for_a_log_that_does_not_answer_and_the_ticker_says_so() -> None:
    async def program(clock: SimClock) -> None:
        transport = Stubborn(MemoryLog(clock, partitions=1), refusals=2)
        async with ticking(transport, clock) as ticker:
            await clock.sleep(60.1)
            assert "does not answer" in ticker.problem
            await clock.sleep(30.0)
            assert await ticks(transport) == [1]
            assert ticker.problem == ""

    simulate(program, seed=1)
