"""A worker whose group cannot be joined, or whose leases stop coming."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

import pytest

from motet import App, Event, Settings
from motet.core.errors import ConfigError, Unavailable
from motet.core.event import Batch, Partition
from motet.core.ports import Lease, Subscription
from motet.drivers.memory import MemoryLog
from motet.stores.memory import MemoryStore
from motet.testing.events import make_event, make_events
from motet.testing.simulation import SimClock, simulate, until
from motet.transports.memory import MemoryLease, MemoryTransport


class Moody(MemoryTransport):
    """Fails to be joined, or to hand out leases, for as long as it is told to."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.joins = 0
        self.fail_joins = 0
        self.lose_members = 0
        self.error: Exception = Unavailable("the broker is away")
        self.hangs = False

    @asynccontextmanager
    async def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AsyncIterator[Subscription]:
        self.joins += 1
        if self.hangs:
            await self._log.clock.sleep(1e6)
        if self.fail_joins:
            self.fail_joins -= 1
            raise self.error
        async with super().subscribe(topics, group=group) as leases:
            yield self._leases(leases)

    async def _leases(self, leases: Subscription) -> AsyncIterator[Lease]:
        async for lease in leases:
            yield lease
            if self.lose_members:
                self.lose_members -= 1
                await self._log.clock.sleep(1)
                raise self.error


def play(
    scenario: Callable[[SimClock, Moody, MemoryStore, App, list[str]], object],
) -> None:
    for seed in range(3):

        async def program(clock: SimClock) -> None:
            log = MemoryLog(clock, partitions=2)
            transport, store, app = Moody(log), MemoryStore(log), App("a")
            seen: list[str] = []

            @app.on("in", group="g")
            async def note(event: Event) -> None:
                await clock.sleep(1.5)
                seen.append(event.id)

            await transport.create_topic("in", partitions=2)
            await scenario(clock, transport, store, app, seen)

        simulate(program, seed=seed)


def test_a_group_that_cannot_be_joined_is_a_problem_until_it_is_joined() -> None:
    async def scenario(
        clock: SimClock, transport: Moody, store: MemoryStore, app: App, seen: list[str]
    ) -> None:
        transport.fail_joins = 4
        async with app.run(transport, store, clock=clock) as running:
            await until(lambda: bool(running.problems()), clock)
            (problem,) = running.problems()
            assert problem == "g: not in its group: the broker is away"
            await until(lambda: not running.problems(), clock)
            assert clock.monotonic_s() >= 1 + 2 + 2 + 2  # the delays of an outage
            assert transport.joins == 5
            await transport.publish("in", make_events(4, keys=4))
            await until(lambda: len(seen) == 4, clock)

    play(scenario)


def test_a_membership_that_ends_is_taken_up_again_once_what_is_in_hand_is_committed() -> None:
    async def scenario(
        clock: SimClock, transport: Moody, store: MemoryStore, app: App, seen: list[str]
    ) -> None:
        transport.lose_members = 2
        events = make_events(6, keys=6)
        await transport.publish("in", events)
        async with app.run(transport, store, clock=clock) as running:
            await until(lambda: transport.joins == 3, clock)
            await until(running.idle, clock)
            assert running.problems() == []
        assert sorted(seen) == [event.id for event in events]

    play(scenario)


@pytest.mark.parametrize("hangs", [True, False])
def test_a_stop_does_not_wait_for_a_group_that_cannot_be_joined(hangs: bool) -> None:
    async def scenario(
        clock: SimClock, transport: Moody, store: MemoryStore, app: App, seen: list[str]
    ) -> None:
        transport.hangs, transport.fail_joins = hangs, 1000
        async with app.run(transport, store, clock=clock, settings=Settings(drain_s=500)):
            await clock.sleep(40)
            stopped_s = clock.monotonic_s()
        assert clock.monotonic_s() - stopped_s < 0.1
        assert transport.joins <= 21  # every two seconds, and jitter

    play(scenario)


def test_what_is_wrong_with_the_program_still_ends_it() -> None:
    async def scenario(
        clock: SimClock, transport: Moody, store: MemoryStore, app: App, seen: list[str]
    ) -> None:
        transport.fail_joins, transport.error = 1, ConfigError("no such topic")
        with pytest.raises(ExceptionGroup) as ended:
            async with app.run(transport, store, clock=clock):
                await clock.sleep(5)
        assert ended.group_contains(ConfigError)

    play(scenario)


def test_fetches_that_fail_are_a_problem_all_the_time_until_one_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def failing(lease: MemoryLease, *, max_records: int, max_wait_s: float) -> Batch | None:
        await lease._log.clock.sleep(30)  # a broker that is away is found out late
        raise Unavailable("no answer to a fetch")

    async def scenario(
        clock: SimClock, transport: Moody, store: MemoryStore, app: App, seen: list[str]
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemoryLease, "fetch", failing)
            async with app.run(transport, store, clock=clock) as running:
                await until(lambda: len(running.problems()) == 2, clock, timeout_s=100)
                assert running.problems()[0].startswith("g in/")
                for _ in range(300):
                    await clock.sleep(1)
                    assert len(running.problems()) == 2
                patch.undo()
                await until(lambda: not running.problems(), clock, timeout_s=200)
                await transport.publish("in", [make_event(1)])
                await until(lambda: bool(seen), clock)
        assert (await store.progress("g", Partition("in", 0))).next + (
            await store.progress("g", Partition("in", 1))
        ).next == 1

    play(scenario)


def test_a_stop_does_not_wait_for_the_next_try_of_a_store_that_is_away() -> None:
    class Away(MemoryStore):
        async def progress(self, group: str, partition: Partition) -> object:
            raise Unavailable("the database is away")

    async def scenario(
        clock: SimClock, transport: Moody, store: MemoryStore, app: App, seen: list[str]
    ) -> None:
        away = Away(transport._log)
        async with app.run(transport, away, clock=clock, settings=Settings(drain_s=500)) as running:
            await clock.sleep(40)
            assert len(running.problems()) == 2
            stopped_s = clock.monotonic_s()
        assert clock.monotonic_s() - stopped_s < 0.1

    play(scenario)
