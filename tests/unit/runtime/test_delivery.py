import pytest

from motet.core.clock import SystemClock
from motet.core.errors import ConfigError, Fenced, Unavailable
from motet.core.event import Partition, Record
from motet.core.outcome import Commit, Emit, Outcome, Park, Put
from motet.core.ports import Advance, Progress
from motet.runtime import TransportDelivery
from motet.stores.memory import MemoryLog, MemoryStore
from motet.testing import make_event
from motet.transports.memory import MemoryTransport

PLACE = Partition("in", 0)
FAR_US = 1 << 60


class World:
    """A broker and a store of their own, and the two as one."""

    def __init__(self) -> None:
        self.log = MemoryLog(SystemClock(), partitions=1)
        self.store = MemoryStore(self.log, shared=False)
        self.transport = MemoryTransport(self.log)
        self.delivery = self.restarted()

    def restarted(self) -> TransportDelivery:
        return TransportDelivery(self.store, self.transport, self.transport, clock=SystemClock())

    def published(self) -> list[str]:
        batch = self.log.read(Partition("out", 0), offset=0, limit=100)
        return [record.event.id for record in batch.records]


def step(version: int, next_: int, *, emits: tuple[Emit, ...] = (), **rest: object) -> Commit:
    outcomes = (Outcome(emits=emits),) if emits else ()
    return Commit("g", PLACE, version, next_, outcomes=outcomes, **rest)


def emitted(number: int, *, not_before_us: int = 0) -> Emit:
    return Emit("out", make_event(number), not_before_us)


async def test_what_is_emitted_is_published_and_progress_is_the_brokers() -> None:
    world = World()
    await world.delivery.commit(step(0, 3, ahead=(5,), emits=(emitted(1), emitted(2))))

    assert world.published() == [make_event(1).id, make_event(2).id]
    assert (await world.transport.advanced("g", PLACE)).next == 3
    assert (await world.store.progress("g", PLACE)).version == 0
    assert await world.store.outbox.next_due_us() is None
    found = await world.restarted().progress("g", PLACE)
    assert (found.next, found.ahead) == (3, (5,))


async def test_each_commit_raises_the_version_by_one() -> None:
    world = World()
    await world.delivery.commit(step(0, 1))
    await world.delivery.commit(step(1, 2))
    with pytest.raises(Fenced, match="is at version 2, not 1"):
        await world.delivery.commit(step(1, 3))

    assert (await world.delivery.progress("g", PLACE)).version == 2


async def test_a_failed_record_is_parked_in_the_store_after_the_others_effects_are_out() -> None:
    world = World()
    await world.delivery.commit(step(0, 1))
    park = Park(Record(make_event(9, key="k"), 1, attempt=2), due_us=7)
    await world.delivery.commit(step(1, 2, emits=(emitted(1),), parks=(park,)))

    assert world.published() == [make_event(1).id]
    found = await world.delivery.progress("g", PLACE)
    assert (found.next, found.version, found.parked_keys, found.due_us) == (2, 2, {"k"}, 7)
    (record,) = await world.delivery.parked("g", PLACE, now_us=7, limit=9)
    await world.delivery.commit(step(2, 2, settled=(record.parked,)))
    assert not (await world.delivery.progress("g", PLACE)).parked_keys


async def test_a_crash_after_parking_and_before_progress_parks_nothing_twice() -> None:
    world = World()

    class Broken(MemoryTransport):
        async def advance(self, step: Advance) -> None:
            raise Unavailable("the broker is gone")

    broker = Broken(world.log)
    delivery = TransportDelivery(world.store, broker, broker, clock=SystemClock())
    park = Park(Record(make_event(9, key="k"), 0, attempt=2), due_us=7)
    with pytest.raises(Unavailable):
        await delivery.commit(step(0, 1, emits=(emitted(1),), parks=(park,)))

    found = await world.restarted().progress("g", PLACE)
    assert (found.next, found.parked_keys) == (1, {"k"})
    assert world.published() == [make_event(1).id]


async def test_a_timer_waits_in_the_outbox_of_the_store() -> None:
    world = World()
    late = emitted(2, not_before_us=FAR_US)
    await world.delivery.commit(step(0, 1, emits=(emitted(1), late)))

    assert world.published() == [make_event(1).id]
    (row,) = await world.store.outbox.due(now_us=FAR_US, limit=9)
    assert row.emit == late


async def test_state_is_refused_and_nothing_is_published() -> None:
    world = World()
    put = Outcome(emits=(emitted(1),), puts=(Put("k", b"1", 0),))
    with pytest.raises(ConfigError, match="declare it with delivery='store'"):
        await world.delivery.commit(Commit("g", PLACE, 0, 1, outcomes=(put,)))

    assert world.published() == []


async def test_the_stores_copy_of_progress_follows_without_a_conflict() -> None:
    world = World()
    await world.delivery.commit(step(0, 4))
    await world.delivery.note()
    (seen,) = await world.store.groups()
    await world.delivery.commit(step(1, 6))
    await world.delivery.note()
    await world.delivery.note()

    assert seen.next == 4
    assert (await world.store.groups())[0].next == 6
    assert (await world.delivery.progress("g", PLACE)).version == 2
    assert (await world.store.progress("g", PLACE)).version == 2


async def test_a_redrive_is_noticed_by_the_version() -> None:
    world = World()
    park = Park(Record(make_event(9), 0, attempt=2), due_us=7)
    await world.delivery.commit(step(0, 1))
    before = await world.delivery.progress("g", PLACE)
    await world.store.commit(step(0, 0, parks=(park,)))  # as a redrive raises it
    after = await world.delivery.progress("g", PLACE)

    assert after.version != before.version
    with pytest.raises(Fenced):
        await world.delivery.commit(step(before.version, 2))
    await world.delivery.commit(step(after.version, 2))


async def test_the_further_of_two_copies_is_right() -> None:
    world = World()
    await world.transport.advance(Advance("g", PLACE, 3, ahead=(6,)))
    await world.store.commit(step(0, 2, ahead=(4, 5)))

    assert await world.delivery.progress("g", PLACE) == Progress(next=3, version=1, ahead=(4, 5, 6))
