"""The contract of a transport that keeps its groups' progress: `ports.ProgressKeeper`."""

# ruff: noqa: D102 - the name of a test is its documentation

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from zlib import crc32

import msgspec
import pytest

from motet.core.codec import encode
from motet.core.errors import CodecError, Fenced
from motet.core.event import Message, Partition, Record
from motet.core.outcome import Emit
from motet.core.ports import Advance, Lease, Progress, ProgressKeeper, Transport
from motet.testing.contracts.consuming import PATIENCE_S, leased, read_topic
from motet.testing.events import make_event, make_events

PLACE = Partition("t", 0)


class KeepingTransport(Transport, ProgressKeeper, Protocol):
    """What the suite is about."""


class ProgressKeeperContract:
    """What delivery mode `transport` rests on."""

    def make(self) -> AbstractAsyncContextManager[KeepingTransport]:
        """Return a fresh, empty transport; closed when the block is left."""
        raise NotImplementedError

    async def test_a_group_that_was_never_there_has_no_progress(self) -> None:
        async with self._leased() as (transport, _):
            assert await transport.advanced("g", PLACE) == Progress()

    async def test_a_step_publishes_what_it_emits_and_notes_progress(self) -> None:
        emits = (_emit("a", 1), _emit("b", 2), _emit("a", 3))
        async with self._leased() as (transport, _):
            await transport.create_topic("a", partitions=1)
            await transport.advance(Advance("g", PLACE, 2, (4, 5), emits))
            found = await transport.advanced("g", PLACE)
            ids = [event.id for event in await read_topic(transport, "a")]
            others = [event.id for event in await read_topic(transport, "b")]
        assert (found.next, found.ahead) == (2, (4, 5))
        assert ids == [make_event(1).id, make_event(3).id]
        assert others == [make_event(2).id]

    async def test_progress_is_there_for_who_has_the_lease_next(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.publish("t", make_events(10))
            async with leased(transport, "t") as lease:
                await lease.seek(0)
                await transport.advance(Advance("g", PLACE, 4, (6,)))
            async with leased(transport, "t") as lease:
                found = await transport.advanced("g", PLACE)
                await lease.seek(found.next)
                batch = await lease.fetch(max_records=3, max_wait_s=PATIENCE_S)
        assert (found.next, found.ahead) == (4, (6,))
        assert batch is not None
        assert batch.records[0].event.id == make_event(4).id

    async def test_groups_have_progress_of_their_own(self) -> None:
        async with self._leased() as (transport, _), leased(transport, "t", group="h") as lease:
            await lease.seek(0)
            await transport.advance(Advance("g", PLACE, 3))
            await transport.advance(Advance("h", PLACE, 1))
            assert (await transport.advanced("g", PLACE)).next == 3
            assert (await transport.advanced("h", PLACE)).next == 1

    async def test_without_the_lease_a_step_is_fenced_and_nothing_is_published(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.create_topic("a", partitions=1)
            async with leased(transport, "t") as lease:
                await lease.seek(0)
            with pytest.raises(Fenced):
                await transport.advance(Advance("g", PLACE, 1, (), (_emit("a", 1),)))
            assert await read_topic(transport, "a") == []
            async with leased(transport, "t"):
                assert (await transport.advanced("g", PLACE)).next == 0

    async def test_an_event_that_could_not_be_read_back_stops_the_whole_step(self) -> None:
        bad = msgspec.structs.replace(make_event(2), data=msgspec.Raw(b"{"))
        async with self._leased() as (transport, _):
            await transport.create_topic("a", partitions=1)
            step = Advance("g", PLACE, 1, (), (_emit("a", 1), Emit("a", bad)))
            with pytest.raises(CodecError):
                await transport.advance(step)
            assert await read_topic(transport, "a") == []
            assert (await transport.advanced("g", PLACE)).next == 0

    async def test_of_many_done_ahead_none_is_noted_that_is_not_done(self) -> None:
        ahead = tuple(range(10, 9_000, 2))
        async with self._leased() as (transport, _):
            await transport.advance(Advance("g", PLACE, 2, ahead))
            found = await transport.advanced("g", PLACE)
        assert found.next == 2
        assert set(found.ahead) <= set(ahead)
        assert found.ahead[:100] == ahead[:100]  # what does not fit is handled again

    async def test_messages_are_sent_as_they_are(self) -> None:
        headers = (("traceparent", b"00-aa-bb-01"), ("retry-attempt", b"2"), ("x", b"\xff\x00"))
        one, two = make_event(1, key="k"), make_event(2, key="k")
        by_key = crc32(b"k") % 3
        elsewhere = Message(b"k", encode(one), headers, by_key + 4)
        async with self.make() as transport:
            await transport.create_topic("t", partitions=3)
            await transport.send("t", [elsewhere, Message(b"k", encode(two))])
            (placed,) = await _records(transport, Partition("t", (by_key + 4) % 3))
            (hashed,) = await _records(transport, Partition("t", by_key))
        assert (placed.event, placed.value) == (one, encode(one))
        assert sorted(placed.headers) == sorted(headers)  # AMQP's are a table, without an order
        assert (hashed.event, hashed.headers) == (two, ())

    async def test_bytes_that_are_no_event_are_sent_and_read_as_they_are(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.send("t", [Message(b"k", b"\xff\x00", (("a", b"1"),))])
            batch = await transport.read(Partition("t", 0), offset=0, limit=10)
        (broken,) = batch.broken
        assert (broken.value, broken.key, broken.headers) == (b"\xff\x00", b"k", (("a", b"1"),))

    @asynccontextmanager
    async def _leased(self) -> AsyncIterator[tuple[KeepingTransport, Lease]]:
        """A transport with a topic of one partition, which group `g` has a lease on."""
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            async with leased(transport, "t") as lease:
                await lease.seek(0)
                yield transport, lease


def _emit(topic: str, number: int) -> Emit:
    return Emit(topic, make_event(number))


async def _records(transport: Transport, partition: Partition) -> tuple[Record, ...]:
    batch = await transport.read(partition, offset=0, limit=10)
    return batch.records
