from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from motet.bridges import Bridge, Copying, Key, Picker, Select, Via, copying, register
from motet.bridges.picking import Counts
from motet.core.clock import SystemClock
from motet.core.errors import CodecError, ConfigError, Unavailable
from motet.core.event import Event, Partition
from motet.core.outcome import Commit, Emit, Outcome
from motet.core.ports import Guarantee
from motet.stores.memory import MemoryLog, MemoryStore
from motet.testing import make_event, make_events, until
from motet.transports.memory import MemoryTransport

CLOCK = SystemClock()


class Broker(MemoryTransport):
    """A log that is in no store, and keeps progress itself."""

    guarantees = MemoryTransport.guarantees & ~Guarantee.SHARED_TX


class Away(MemoryTransport):
    """A target that does not answer, until it does."""

    away = True

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        if self.away:
            raise Unavailable("the target is away")
        return await super().publish(topic, events)


class Narrow(MemoryTransport):
    """A target that takes no large events, and counts how often it was asked."""

    calls = 0
    limit = 100

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        self.calls += 1
        if any(len(event.data) > self.limit for event in events):
            raise CodecError("too large")
        return await super().publish(topic, events)


class World:
    """Two logs, and the store of the bridge between them."""

    def __init__(
        self,
        here: type[MemoryTransport] = MemoryTransport,
        there: type[MemoryTransport] = MemoryTransport,
    ) -> None:
        self.here = here(MemoryLog(CLOCK, partitions=2))
        self.there = there(MemoryLog(CLOCK, partitions=3))
        self.store = MemoryStore(MemoryLog(CLOCK), shared=False)
        self.counts = Counts()

    @asynccontextmanager
    async def bridge(
        self,
        *topics: str,
        to_topic: str | None = None,
        select: str | None = None,
        key: str | None = None,
    ) -> AsyncIterator[Bridge]:
        picker = Picker(
            Via("here", "there"),
            self.counts,
            select=None if select is None else Select(select),
            key=None if key is None else Key(key),
        )
        processor = Copying("g", topics or ["t"], picker, to_topic=to_topic)
        async with copying(
            processor, self.here, self.there, self.store, counts=self.counts, clock=CLOCK
        ) as bridge:
            yield bridge

    async def copied(self, **options: str) -> list[Event]:
        async with self.bridge(**options) as bridge:
            await bridge.until_idle()
        return await read(self.there, options.get("to_topic", "t"))


async def read(transport: MemoryTransport, topic: str) -> list[Event]:
    found: list[Event] = []
    for info in await transport.topics():
        for index in range(info.partitions if info.name == topic else 0):
            batch = await transport.read(Partition(topic, index), offset=0, limit=10_000)
            found += [record.event for record in batch.records]
    return sorted(found, key=lambda event: event.id)


def unmarked(events: Sequence[Event]) -> list[Event]:
    return [msgspec.structs.replace(e, metadata=make_event(1).metadata) for e in events]


@pytest.mark.parametrize("here", [MemoryTransport, Broker])
async def test_events_are_copied_as_they_are_but_for_the_mark(here: type[MemoryTransport]) -> None:
    world = World(here)
    events = make_events(50)
    await world.here.publish("t", events)

    copied = await world.copied()

    assert unmarked(copied) == list(events)
    assert {bytes(event.metadata) for event in copied} == {b'{"bridgedvia":"here"}'}
    assert (world.counts.copied, world.counts.new) == (50, 50)


@pytest.mark.parametrize("here", [MemoryTransport, Broker])
async def test_the_next_run_goes_on_where_the_last_one_was(here: type[MemoryTransport]) -> None:
    world = World(here)
    await world.here.publish("t", make_events(5))
    await world.copied()
    await world.here.publish("t", make_events(3, first=5))

    assert len(await world.copied()) == 8
    assert world.counts.copied == 8


async def test_progress_is_the_brokers_where_it_keeps_any() -> None:
    world = World(Broker)
    await world.here.create_topic("t", partitions=1)
    await world.here.publish("t", make_events(5))

    await world.copied()

    assert (await world.here.advanced("g", Partition("t", 0))).next == 5


async def test_several_topics_keep_their_names_or_become_one() -> None:
    world = World()
    await world.here.publish("t", [make_event(1)])
    await world.here.publish("u", [make_event(2)])

    async with world.bridge("t", "u") as bridge:
        await bridge.until_idle()
    assert [len(await read(world.there, name)) for name in ("t", "u")] == [1, 1]

    other = World()
    other.here = world.here
    async with other.bridge("t", "u", to_topic="both") as bridge:
        await bridge.until_idle()
    assert len(await read(other.there, "both")) == 2


async def test_what_is_not_selected_stays_and_a_copy_has_the_key_it_is_given() -> None:
    world = World()
    await world.here.publish(
        "t", [make_event(n, data={"n": n, "sessionId": f"s{n}"}) for n in range(4)]
    )

    copied = await world.copied(select="payload.n >= `2`", key="session")

    assert [event.key for event in copied] == ["s2", "s3"]
    assert (world.counts.copied, world.counts.unselected) == (2, 2)


async def test_what_has_been_on_the_target_is_left_out() -> None:
    world = World()
    await world.here.publish("t", [Via("there", "here").mark(make_event(1)), make_event(2)])

    assert [event.id for event in await world.copied()] == [make_event(2).id]
    assert world.counts.returned == 1


async def test_an_expression_that_fails_makes_a_dead_letter_and_the_others_go_on() -> None:
    world = World()
    events = [make_event(n, key="k", data={"n": [] if n == 1 else "s"}) for n in range(3)]
    await world.here.publish("t", events)

    copied = await world.copied(key="payload.n")

    assert [event.id for event in copied] == [events[0].id, events[2].id]
    [row] = await world.store.dead_letters.list()
    assert (row.letter.group, row.letter.error.code) == ("g", "ExpressionError")
    assert world.counts.refused == 1


@pytest.mark.parametrize("here", [MemoryTransport, Broker])
async def test_what_the_target_refuses_is_a_dead_letter_that_can_be_redriven(
    here: type[MemoryTransport],
) -> None:
    world = World(here, Narrow)
    await world.here.create_topic("t", partitions=1)
    events = [make_event(n, data="x" * (200 if n in (3, 70) else 1)) for n in range(100)]
    await world.here.publish("t", events)

    copied = await world.copied()

    assert len(copied) == 98
    assert world.there.calls < 40  # not one by one
    rows = await world.store.dead_letters.list()
    assert [(row.letter.group, row.letter.topic, row.letter.offset) for row in rows] == [
        ("g", "t", 3),
        ("g", "t", 70),
    ]
    world.there.limit = 1000
    ids = [row.id for row in rows]
    assert await world.store.dead_letters.redrive(ids, by="me", now_us=CLOCK.now_us()) == 2
    assert len(await world.copied()) == 100


async def test_bytes_that_are_no_event_are_a_dead_letter_as_they_came() -> None:
    world = World()
    await world.here.create_topic("t", partitions=1)
    world.here._log.append_broken(Partition("t", 0), b"\xff", error="not JSON")
    await world.here.publish("t", [make_event(1)])

    assert len(await world.copied()) == 1
    [row] = await world.store.dead_letters.list()
    assert row.letter.value == b"\xff"


async def test_a_target_that_is_away_is_waited_for_and_said() -> None:
    world = World(there=Away)
    await world.here.publish("t", make_events(5))

    async with world.bridge() as bridge:
        await until(lambda: bool(bridge.problems()), CLOCK)
        [problem, *_] = bridge.problems()
        lag = await bridge.lag()
        world.there.away = False
        await bridge.until_idle()
        assert bridge.problems() == []
        assert await bridge.lag() == 0

    assert "the target is away" in problem
    assert lag == 5
    assert len(await read(world.there, "t")) == 5


async def test_what_others_have_in_the_outbox_of_the_store_stays_there() -> None:
    world = World()
    shared = MemoryLog(CLOCK)
    world.store = MemoryStore(shared, shared=False)
    waiting = Outcome(emits=(Emit("theirs", make_event(1)),))
    await world.store.commit(Commit("other", Partition("x", 0), 0, 1, outcomes=(waiting,)))
    await world.here.publish("t", [make_event(2)])

    await world.copied()

    assert await read(world.there, "theirs") == []
    assert await world.store.outbox.next_due_us() is not None


async def test_a_group_of_a_store_belongs_to_one_transport() -> None:
    store = MemoryStore(MemoryLog(CLOCK), shared=False)
    await register(store, "g", "kafka-1", clock=CLOCK)
    await register(store, "g", "kafka-1", clock=CLOCK)
    await register(store, "h", "kafka-2", clock=CLOCK)

    with pytest.raises(ConfigError, match="belongs to a bridge from kafka-1, not from kafka-2"):
        await register(store, "g", "kafka-2", clock=CLOCK)
