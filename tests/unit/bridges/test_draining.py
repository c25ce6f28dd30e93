from collections import deque
from collections.abc import Sequence

import pytest

from motet.bridges import Draining, Key, Opener, Picker, Select, Via, emptying
from motet.bridges.picking import Counts
from motet.core.clock import SystemClock
from motet.core.errors import Unavailable
from motet.core.event import Event, Message, Partition
from motet.core.ports import Taken
from motet.resilience import RetryPolicy
from motet.stores.memory import MemoryLog, MemoryStore
from motet.testing import until
from motet.transports.memory import MemoryTransport

CLOCK = SystemClock()
AT_ONCE = RetryPolicy(base_s=0.0, cap_s=0.0, jitter_s=0.0)


class Values:
    """A source in memory that forgets what is done; conforms to `ports.Source`."""

    lossy = False

    def __init__(self, *values: bytes) -> None:
        self.waiting = deque(Taken("door", Message(b"", value), None) for value in values)
        self.held: list[Taken] = []
        self.done_at: list[int] = []  # events in the log when something was done
        self.log: MemoryLog | None = None

    async def take(self, *, max_messages: int, max_wait_s: float) -> Sequence[Taken]:
        if not self.waiting:
            await CLOCK.sleep(0)
            return []
        self.held = [self.waiting.popleft() for _ in range(min(2, len(self.waiting)))]
        return self.held

    async def done(self, taken: Sequence[Taken]) -> None:
        assert list(taken) == self.held
        self.held = []
        if self.log is not None:
            self.done_at.append(sum(info.events for info in self.log.infos()))


class World:
    def __init__(self, *values: bytes) -> None:
        self.log = MemoryLog(CLOCK, partitions=1)
        self.target = MemoryTransport(self.log)
        self.store = MemoryStore(MemoryLog(CLOCK), shared=False)
        self.source = Values(*values)
        self.source.log = self.log
        self.counts = Counts()

    def draining(self, *, select: str | None = None, key: str | None = None) -> Draining:
        picker = Picker(
            Via("home", "log"),
            self.counts,
            select=None if select is None else Select(select),
            key=None if key is None else Key(key),
        )
        return Draining(
            self.source,
            self.target,
            self.store.dead_letters,
            topic="doors",
            opened=Opener("mqtt", CLOCK).event,
            picker=picker,
            clock=CLOCK,
            retry=AT_ONCE,
        )

    async def drained(self, **options: str) -> list[Event]:
        async with emptying(self.draining(**options), drain_s=5.0) as bridge:
            await bridge.until_idle()
        batch = self.log.read(Partition("doors", 0), offset=0, limit=100)
        return [record.event for record in batch.records]


async def test_messages_become_events_in_order_under_the_mark_of_the_source() -> None:
    events = await World(b"1", b"2", b"3").drained()

    assert [bytes(event.data) for event in events] == [b"1", b"2", b"3"]
    assert {bytes(event.metadata) for event in events} == {b'{"bridgedvia":"home"}'}


async def test_a_message_is_done_only_when_its_event_is_in_the_log() -> None:
    world = World(b"1", b"2", b"3", b"4", b"5")
    await world.drained()

    assert world.source.done_at == [2, 4, 5]


async def test_bytes_that_are_no_event_are_a_dead_letter_and_then_done() -> None:
    world = World(b"1", b"\xff\x00", b"3")

    assert len(await world.drained()) == 2
    [row] = await world.store.dead_letters.list()
    assert (row.letter.value, row.letter.topic, row.letter.key) == (b"\xff\x00", "doors", "door")
    assert world.source.held == []
    assert world.counts.refused == 1


async def test_messages_are_selected_and_keyed() -> None:
    world = World(b'{"n":1,"id":"a"}', b'{"n":2,"id":"b"}', b'{"n":[],"id":[]}')

    events = await world.drained(select="payload.n != `1`", key="payload.id")

    assert [event.key for event in events] == ["b"]
    assert world.counts.unselected == 1
    [row] = await world.store.dead_letters.list()
    assert row.letter.error.code == "ExpressionError"


async def test_an_event_that_the_log_refuses_is_a_dead_letter() -> None:
    too_long = b'"%s"' % (b"x" * (1 << 21))
    world = World(b"1", too_long, b"3")

    assert len(await world.drained(key="payload")) == 2
    [row] = await world.store.dead_letters.list()
    assert row.letter.value == too_long


async def test_while_the_target_is_away_nothing_is_done_and_it_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(b"1", b"2", b"3")
    publish = MemoryTransport.publish
    away = [True]

    async def perhaps(transport: MemoryTransport, topic: str, events: Sequence[Event]) -> int:
        if away:
            raise Unavailable("the log is away")
        return await publish(transport, topic, events)

    monkeypatch.setattr(MemoryTransport, "publish", perhaps)
    async with emptying(world.draining(), drain_s=5.0) as bridge:
        await until(lambda: bridge.problems() == ["the log is away"], CLOCK)
        assert len(world.source.held) == 2
        away.clear()
        await bridge.until_idle()
        assert bridge.problems() == []

    assert world.source.done_at == [2, 3]


async def test_a_stop_while_the_target_is_away_leaves_what_is_held_to_the_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(transport: MemoryTransport, topic: str, events: Sequence[Event]) -> int:
        raise Unavailable("the log is away")

    monkeypatch.setattr(MemoryTransport, "publish", never)
    world = World(b"1", b"2")
    async with emptying(world.draining(), drain_s=5.0) as bridge:
        await until(lambda: bool(bridge.problems()), CLOCK)

    assert len(world.source.held) == 2
    assert world.source.done_at == []
