"""The contract of a transport and a store in one database: what is emitted joins the commit."""

# ruff: noqa: D102 - the name of a test is its documentation

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from motet.core.errors import Fenced, WrongVersion
from motet.core.event import Partition
from motet.core.ports import Guarantee, Store, Transport
from motet.testing.contracts.consuming import (
    CLOCK,
    PATIENCE_S,
    background,
    leased,
    read_topic,
    take,
)
from motet.testing.contracts.steps import FAR_US, emits, letter, puts, queued, step
from motet.testing.events import make_event, make_events


class SharedTransactionContract:
    """What `Guarantee.SHARED_TX` means."""

    def make(self) -> AbstractAsyncContextManager[tuple[Transport, Store]]:
        """Return a fresh transport and store over one database; closed when the block is left."""
        raise NotImplementedError

    async def test_the_transport_says_so(self) -> None:
        async with self.make() as (transport, _):
            assert Guarantee.SHARED_TX in transport.guarantees

    async def test_what_a_commit_emits_is_in_the_log_at_once(self) -> None:
        async with self.make() as (transport, store):
            await transport.create_topic("a", partitions=1)
            await store.commit(step(0, outcomes=emits(("a", 1, 0), ("b", 2, 0), ("a", 3, 0))))
            assert [e.id for e in await read_topic(transport, "a")] == [
                make_event(1).id,
                make_event(3).id,
            ]
            assert len(await read_topic(transport, "b")) == 1
            assert await queued(store) == []
            assert await store.outbox.next_due_us() is None

    async def test_emits_follow_what_was_published_before(self) -> None:
        async with self.make() as (transport, store):
            await transport.create_topic("a", partitions=1)
            await transport.publish("a", make_events(2))
            await store.commit(step(0, outcomes=emits(("a", 2, 0), ("a", 3, 0))))
            await transport.publish("a", make_events(2, first=4))
            batch = await transport.read(Partition("a", 0), offset=0, limit=99)
        assert [(r.offset, r.event.id) for r in batch.records] == [
            (n, make_event(n).id) for n in range(6)
        ]

    async def test_a_refused_commit_emits_nothing(self) -> None:
        async with self.make() as (transport, store):
            await transport.create_topic("a", partitions=1)
            await store.commit(step(0))
            with pytest.raises(Fenced):
                await store.commit(step(0, outcomes=emits(("a", 1, 0))))
            with pytest.raises(WrongVersion):
                await store.commit(step(1, outcomes=emits(("a", 2, 0)) + puts(("x", b"", 9))))
            assert await read_topic(transport, "a") == []
            # And the id is free: it was never in the topic.
            assert await transport.publish("a", [make_event(2)]) == 1

    async def test_an_emitted_id_is_in_a_topic_once(self) -> None:
        async with self.make() as (transport, store):
            await transport.create_topic("a", partitions=1)
            await store.commit(step(0, outcomes=emits(("a", 1, 0), ("a", 2, 0), ("a", 1, 0))))
            await store.commit(step(1, outcomes=emits(("a", 2, 0), ("a", 3, 0))))
            assert await transport.publish("a", [make_event(3), make_event(4)]) == 1
            ids = [event.id for event in await read_topic(transport, "a")]
        assert ids == [make_event(n).id for n in (1, 2, 3, 4)]

    async def test_timers_wait_in_the_outbox(self) -> None:
        async with self.make() as (transport, store):
            await transport.create_topic("a", partitions=1)
            await store.commit(step(0, outcomes=emits(("a", 1, FAR_US), ("a", 2, 1))))
            assert [e.id for e in await read_topic(transport, "a")] == [make_event(2).id]
            assert await store.outbox.next_due_us() == FAR_US
            assert await queued(store, now_us=FAR_US - 1) == []
            assert await queued(store, now_us=FAR_US) == [make_event(1).id]

    async def test_a_commit_wakes_who_reads_what_it_emits(self) -> None:
        async with self.make() as (transport, store):
            await transport.create_topic("a", partitions=1)
            async with leased(transport, "a") as lease, background(_commit_soon(store)):
                await lease.seek(0)
                (event,) = await take(lease, 1)
        assert event.id == make_event(1).id

    async def test_a_redrive_wakes_who_holds_the_partition(self) -> None:
        async with self.make() as (transport, store):
            await transport.create_topic("t", partitions=1)
            await store.commit(step(0, dead=(letter(0),)))
            async with leased(transport, "t") as lease, background(_redrive_soon(store)):
                await lease.seek(0)
                async with asyncio.timeout(PATIENCE_S):
                    batch = await lease.fetch(max_records=1, max_wait_s=10 * PATIENCE_S)
        assert batch is not None
        assert batch.records == ()


async def _commit_soon(store: Store) -> None:
    for _ in range(5):
        await CLOCK.sleep(0)
    await store.commit(step(0, outcomes=emits(("a", 1, 0))))


async def _redrive_soon(store: Store) -> None:
    for _ in range(5):
        await CLOCK.sleep(0)
    (row,) = await store.dead_letters.list()
    await store.dead_letters.redrive([row.id], by="ann", now_us=1)
