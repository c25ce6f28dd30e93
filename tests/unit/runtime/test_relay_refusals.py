"""What becomes of an event in the outbox that the log refuses."""

import msgspec
import pytest

from motet.core.clock import SystemClock
from motet.core.errors import Unavailable
from motet.core.event import Event, Partition
from motet.core.outcome import Commit, DeadLetter, Emit, Outcome
from motet.core.ports import Clock, Store, Transport
from motet.drivers.memory import MemoryLog
from motet.resilience import RetryPolicy
from motet.runtime.relay import Relay
from motet.stores.memory import MemoryStore
from motet.stores.sqlite import SqliteStore
from motet.testing import SimClock, make_event, simulate
from motet.testing.contracts.consuming import read_topic
from motet.transports.memory import MemoryTransport
from motet.transports.sqlite import SqliteTransport
from tests.sqlite import fresh

NAMELESS = msgspec.structs.replace(make_event(2), type="")
SPLIT = msgspec.structs.replace(make_event(4), data=msgspec.Raw(b"<html>"))
UNTEXT = msgspec.structs.replace(make_event(5), key="\ud800")


def queue(*events: Event) -> Commit:
    emits = tuple(Emit("t", event) for event in events)
    return Commit("g", Partition("in", 0), version=0, next=1, outcomes=(Outcome(emits=emits),))


async def drain(transport: Transport, store: Store, clock: Clock) -> None:
    relay = Relay(transport, store, clock=clock, retry=RetryPolicy())
    relay.stop()
    await relay.run()


async def ids(transport: Transport) -> list[str]:
    return [event.id for event in await read_topic(transport, "t")]


def test_an_event_that_the_log_refuses_is_a_dead_letter_and_the_others_go_on() -> None:
    async def program(clock: SimClock) -> None:
        log = MemoryLog(clock, partitions=1)
        transport, store = MemoryTransport(log), MemoryStore(log, shared=False)
        await store.commit(queue(make_event(1), NAMELESS, make_event(3), SPLIT, UNTEXT))
        await drain(transport, store, clock)
        assert await ids(transport) == [make_event(1).id, make_event(3).id]
        assert await store.outbox.next_due_us() is None
        letters = [stored.letter for stored in await store.dead_letters.list()]
        assert [(x.topic, x.group, x.partition, x.error.code) for x in letters] == [
            ("t", "", -1, "CodecError")
        ] * 3
        assert "at $.payload" in letters[1].error.message
        assert b"<html>" in letters[1].value

    simulate(program, seed=1)


async def test_a_row_that_the_log_refuses_is_a_dead_letter_on_sqlite_too() -> None:
    async with fresh() as database:
        transport, store = SqliteTransport(database), SqliteStore(database, shared=False)
        await transport.create_topic("t", partitions=1)
        await store.commit(queue(make_event(1), NAMELESS, make_event(3)))
        await drain(transport, store, SystemClock())
        assert await ids(transport) == [make_event(1).id, make_event(3).id]
        assert await store.outbox.next_due_us() is None
        (letter,) = [stored.letter for stored in await store.dead_letters.list()]
        assert (letter.key, letter.event_type) == (NAMELESS.key, "")
        assert "at $.eventType" in letter.error.message


def test_an_outage_while_a_refused_event_is_put_away_loses_nothing() -> None:
    async def program(clock: SimClock) -> None:
        log = MemoryLog(clock, partitions=1)
        transport, store = MemoryTransport(log), MemoryStore(log, shared=False)
        await store.commit(queue(make_event(1), SPLIT, make_event(3)))
        add, outages = store.dead_letters.add, iter([Unavailable("for now")] * 3)

        async def fails(letters: list[DeadLetter]) -> None:
            if outage := next(outages, None):
                raise outage
            await add(letters)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store.dead_letters, "add", fails)
            await drain(transport, store, clock)
        assert await ids(transport) == [make_event(1).id, make_event(3).id]
        assert len(await store.dead_letters.list()) == 1

    simulate(program, seed=1)
