"""The relay on memory backends, in simulated time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from motet.core.event import Event, Partition
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


def test_what_another_process_wrote_is_found_at_once() -> None:
    async def program(clock: SimClock) -> None:
        bench = Bench(clock)
        async with bench.relaying():
            await bench.commit(1)  # without a nudge
            await bench.published_within(1, 0.01)

    simulate(program, seed=1)


def test_of_two_relays_one_publishes_and_the_other_follows_when_it_is_gone() -> None:
    async def program(clock: SimClock) -> None:
        bench, published = Bench(clock), Counter[str]()
        first, second = (
            Relay(Noting(bench.log, published, name), bench.store, clock=clock, retry=RetryPolicy())
            for name in ("first", "second")
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(second_after(clock, second), name="second")
            leader = tasks.create_task(first.run(), name="first")
            await clock.sleep(0.5)
            for number in range(20):
                await bench.commit(number)
            await bench.published_within(20, 0.1)
            assert published == {"first": 20}
            leader.cancel()  # as a killed process: it does not resign
            await bench.commit(20)
            await bench.published_within(21, 5.0)
            assert published == {"first": 20, "second": 1}
            second.stop()

    simulate(program, seed=1)


def test_a_relay_that_is_stopped_lets_another_lead_at_once() -> None:
    async def program(clock: SimClock) -> None:
        bench = Bench(clock)
        other = Relay(MemoryTransport(bench.log), bench.store, clock=clock, retry=RetryPolicy())
        async with asyncio.TaskGroup() as tasks:
            async with bench.relaying():
                tasks.create_task(other.run(), name="other")
                await clock.sleep(0.1)
            await bench.commit(1)
            await bench.published_within(1, 1.1)
            other.stop()

    simulate(program, seed=1)


async def second_after(clock: SimClock, relay: Relay) -> None:
    await clock.sleep(0.25)
    await relay.run()


class Noting(MemoryTransport):
    """A transport that counts what each of two relays publishes."""

    def __init__(self, log: MemoryLog, published: Counter[str], name: str) -> None:
        super().__init__(log)
        self._published = published
        self._name = name

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        self._published[self._name] += len(events)
        return await super().publish(topic, events)


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
