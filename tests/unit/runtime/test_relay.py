"""The relay on memory backends, in simulated time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from motet.core.event import Partition
from motet.core.outcome import Commit, Emit, Outcome
from motet.drivers.memory import MemoryLog
from motet.resilience import RetryPolicy
from motet.runtime.relay import Relay
from motet.stores.memory import MemoryStore
from motet.testing import make_event
from motet.testing.simulation import SimClock, simulate, until
from motet.transports.memory import MemoryTransport


class Bench:
    """A log, a store that is elsewhere, and a relay between them."""

    def __init__(self, clock: SimClock) -> None:
        self.clock = clock
        self.log = MemoryLog(clock, partitions=1)
        self.store = MemoryStore(self.log, shared=False)
        self.relay = Relay(MemoryTransport(self.log), self.store, clock=clock, retry=RetryPolicy())

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        """Let the relay run; inside the block it has looked once and found nothing."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.relay.run(), name="relay")
            await self.clock.sleep(0.25)
            yield
            self.relay.stop()

    async def commit(self, number: int, *, not_before_us: int = 0) -> None:
        emit = Emit("out", make_event(number), not_before_us=not_before_us)
        place = Partition("in", 0)
        progress = await self.store.progress("g", place)
        await self.store.commit(
            Commit(
                group="g",
                partition=place,
                version=progress.version,
                next=progress.next + 1,
                outcomes=(Outcome(emits=(emit,)),),
            )
        )

    def published(self) -> int:
        return sum(info.events for info in self.log.infos() if info.name == "out")

    async def published_within(self, count: int, seconds: float) -> None:
        await until(lambda: self.published() == count, self.clock, timeout_s=seconds)


def test_a_nudge_has_what_was_committed_published_at_once() -> None:
    async def program(clock: SimClock) -> None:
        bench = Bench(clock)
        async with bench.relaying():
            for count in (1, 2, 3):
                await bench.commit(count)
                bench.relay.nudge()
                await bench.published_within(count, 0.01)

    for seed in range(3):
        simulate(program, seed=seed)


def test_what_another_process_wrote_is_found_within_a_second() -> None:
    async def program(clock: SimClock) -> None:
        bench = Bench(clock)
        async with bench.relaying():
            await bench.commit(1)
            await clock.sleep(0.5)
            assert bench.published() == 0  # without the nudge it waits for the next look
            await bench.published_within(1, 0.6)

    simulate(program, seed=1)


def test_a_nudge_brings_forward_a_timer_that_is_sooner_than_the_one_waited_for() -> None:
    async def program(clock: SimClock) -> None:
        bench = Bench(clock)
        async with bench.relaying():
            await bench.commit(1, not_before_us=clock.now_us() + 900_000)
            bench.relay.nudge()
            await clock.sleep(0.1)
            await bench.commit(2, not_before_us=clock.now_us() + 100_000)
            bench.relay.nudge()
            await clock.sleep(0.09)
            assert bench.published() == 0
            await bench.published_within(1, 0.02)
            await bench.published_within(2, 0.8)

    simulate(program, seed=1)
