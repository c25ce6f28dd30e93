"""The contract of a transport's consumer groups: order, redelivery, handing over."""

# ruff: noqa: D102 - the name of a test is its documentation

import asyncio
from contextlib import AbstractAsyncContextManager

from motet.core.event import Batch, Event, Partition
from motet.core.ports import Guarantee, Lease, Transport
from motet.testing.contracts.consuming import (
    CLOCK,
    PATIENCE_S,
    Group,
    background,
    leased,
    take,
)
from motet.testing.events import make_event, make_events
from motet.testing.simulation import until


class DeliveryContract:
    """A part of `TransportContract`."""

    guarantees: Guarantee
    """What the backend claims."""

    empties = True
    """Whether retention can take all that a topic has; False: the newest part always stays."""

    def make(self) -> AbstractAsyncContextManager[Transport]:
        """Return a fresh, empty transport; closed when the block is left."""
        raise NotImplementedError

    async def forget(self, transport: Transport) -> None:
        """Let go of what is past its retention, where the backend does so only now and then."""

    async def test_the_guarantees_are_those_claimed(self) -> None:
        async with self.make() as transport:
            assert transport.guarantees == self.guarantees

    async def test_events_of_a_key_arrive_in_order_under_concurrent_publishers(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=3)
            batches = [make_events(60, keys=1, first=1000 * n) for n in range(4)]
            batches = [_with_key(events, f"k{n}") for n, events in enumerate(batches)]
            group = Group(transport, ["t"])
            async with group.consumer():
                async with asyncio.TaskGroup() as tasks:
                    for n, events in enumerate(batches):
                        tasks.create_task(_publish_in_threes(transport, events), name=f"p{n}")
                await group.until(240)
        for events in batches:
            came = [e.id for e in group.handled if e.key == events[0].key]
            if Guarantee.ORDERED in self.guarantees:
                assert came == [event.id for event in events]
            assert set(came) == {event.id for event in events}

    async def test_what_a_killed_consumer_did_not_commit_is_delivered_again(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.publish("t", make_events(6))
            async with leased(transport, "t") as lease:
                first = await lease.fetch(max_records=4, max_wait_s=PATIENCE_S)
            async with leased(transport, "t") as lease:
                await lease.seek(0)
                again = await lease.fetch(max_records=4, max_wait_s=PATIENCE_S)
        assert first is not None
        assert again is not None
        assert {r.event.id for r in first.records} <= {e.id for e in make_events(6)}
        if Guarantee.STABLE_OFFSETS in self.guarantees:
            places = [(r.offset, r.event.id) for r in again.records]
            assert places[0] == (0, make_event(0).id)
            assert [(r.offset, r.event.id) for r in first.records][: len(places)] == places

    async def test_a_rebalance_hands_over_without_loss_or_repeat(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=4)
            group = Group(transport, ["t"])
            async with group.consumer("first"):
                await transport.publish("t", make_events(40, keys=12))
                await group.until(20)
                async with group.consumer("second"):
                    await _balanced(group, {"first": 2, "second": 2})
                    await transport.publish("t", make_events(40, keys=12, first=40))
                    await group.until(60)
                await _balanced(group, {"first": 4})
                await transport.publish("t", make_events(40, keys=12, first=80))
                await group.until(120)
        assert sorted(group.ids) == [event.id for event in make_events(120)]

    async def test_groups_do_not_take_from_one_another(self) -> None:
        async with self.make() as transport:
            await transport.publish("t", make_events(30, keys=9))
            one, two = Group(transport, ["t"], name="one"), Group(transport, ["t"], name="two")
            async with one.consumer(), two.consumer():
                await one.until(30)
                await two.until(30)
        assert sorted(one.ids) == sorted(two.ids) == [event.id for event in make_events(30)]

    async def test_a_group_reads_several_topics(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("a", partitions=2)
            await transport.create_topic("b", partitions=2)
            await transport.publish("a", make_events(10, keys=5))
            await transport.publish("b", make_events(10, keys=5, first=10))
            await transport.publish("c", make_events(10, keys=5, first=20))
            group = Group(transport, ["a", "b"])
            async with group.consumer():
                await group.until(20)
        assert sorted(group.ids) == [event.id for event in make_events(20)]

    async def test_a_topic_made_after_subscribing_is_read(self) -> None:
        async with self.make() as transport:
            group = Group(transport, ["late"])
            async with group.consumer():
                await transport.publish("early", make_events(3))
                await transport.publish("late", make_events(3))
                await group.until(3)
        assert sorted(group.ids) == [event.id for event in make_events(3)]

    async def test_a_lost_lease_gives_none(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            async with leased(transport, "t") as lease:
                await lease.seek(0)
            async with asyncio.timeout(PATIENCE_S):
                assert await lease.fetch(max_records=1, max_wait_s=PATIENCE_S) is None
                await lease.ack(0)

    async def test_a_fetch_that_waits_ends_when_the_lease_is_lost(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=2)
            group = Group(transport, ["t"])
            async with group.consumer("first"):
                await _balanced(group, {"first": 2})
                async with group.consumer("second"):
                    await _balanced(group, {"first": 1, "second": 1})

    async def test_a_fetch_that_waits_returns_when_something_is_published(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            async with leased(transport, "t") as lease, background(_publish_soon(transport)):
                await lease.seek(0)
                (event,) = await take(lease, 1)
        assert event.id == make_event(1).id

    async def test_a_fetch_without_news_gives_an_empty_batch(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.publish("t", make_events(2))
            async with leased(transport, "t") as lease, asyncio.timeout(PATIENCE_S):
                await lease.seek(2)
                batch = await lease.fetch(max_records=10, max_wait_s=0.01)
        assert batch is not None
        assert (batch.partition, batch.records) == (Partition("t", 0), ())

    async def test_a_reader_behind_what_retention_took_moves_on_and_waits(self) -> None:
        async with self.make() as transport:
            if not self.empties:
                published = await self._thinned(transport)
                (info,) = await transport.topics()
                assert (0,) < info.starts < info.ends
                assert info.ends[0] >= len(published)  # a broker may use offsets for itself
                return
            await self._emptied(transport, 10)
            if Guarantee.STABLE_OFFSETS not in self.guarantees:
                return
            nothing = await transport.read(Partition("t", 0), offset=0, limit=100)
            assert (nothing.records, nothing.end) == ((), 10)
            beyond = await transport.read(Partition("t", 0), offset=12, limit=100)
            assert (beyond.records, beyond.end) == ((), 12)
            async with leased(transport, "t") as lease, asyncio.timeout(PATIENCE_S):
                await lease.seek(0)
                moved = await lease.fetch(max_records=10, max_wait_s=2 * PATIENCE_S)
                assert moved == Batch(Partition("t", 0), end=10)
                async with background(_publish_soon(transport)):
                    batch = await lease.fetch(max_records=10, max_wait_s=2 * PATIENCE_S)
                assert batch is not None
                assert [r.offset for r in batch.records] == [10]

    async def test_a_reader_behind_the_oldest_kept_goes_on_with_it(self) -> None:
        async with self.make() as transport:
            if self.empties:
                await self._emptied(transport, 10)
                await transport.publish("t", make_events(3, first=10))
                start, kept = 10, make_events(3, first=10)
            else:
                published = await self._thinned(transport)
                ((start,),) = [info.starts for info in await transport.topics()]
                kept = await _from(transport, start, published)
            if Guarantee.REPLAYABLE in self.guarantees:
                batch = await transport.read(Partition("t", 0), offset=0, limit=100_000)
                assert [r.event for r in batch.records] == kept
                assert batch.records[0].offset == start
            async with leased(transport, "t") as lease:
                await lease.seek(0)
                assert await take(lease, len(kept)) == kept

    async def _thinned(self, transport: Transport) -> list[Event]:
        """Publish events until retention has taken the first of them; return all of them."""
        await transport.create_topic("t", partitions=1, retention_s=0.0)
        published: list[Event] = []
        async with asyncio.timeout(PATIENCE_S):
            while (await transport.topics())[0].starts == (0,):
                events = make_events(10, first=len(published))
                await transport.publish("t", events)
                published += events
                await self.forget(transport)
        return published

    async def _emptied(self, transport: Transport, count: int) -> None:
        """Publish events that retention takes at once; what comes later is kept."""
        await transport.create_topic("t", partitions=1, retention_s=0.0)
        await transport.publish("t", make_events(count))
        async with asyncio.timeout(PATIENCE_S):
            while (await transport.topics())[0].starts != (count,):
                await self.forget(transport)
                await CLOCK.sleep(0.001)
        await transport.create_topic("t", partitions=1, retention_s=3600.0)

    async def test_a_fetch_gives_no_more_than_asked_for_and_says_where_it_ends(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.publish("t", make_events(20))
            async with leased(transport, "t") as lease:
                await lease.seek(0)
                read = 0
                while read < 20:
                    batch = await lease.fetch(max_records=7, max_wait_s=PATIENCE_S)
                    assert batch is not None
                    assert len(batch.records) <= 7
                    if Guarantee.STABLE_OFFSETS in self.guarantees:
                        offsets = [record.offset for record in batch.records]
                        assert offsets == list(range(read, batch.end))
                    read += len(batch.records)

    async def test_a_seek_decides_where_reading_goes_on(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.publish("t", make_events(10))
            if Guarantee.STABLE_OFFSETS not in self.guarantees:
                return
            async with leased(transport, "t") as lease:
                await lease.seek(7)
                late = await take(lease, 3)
                await lease.seek(2)  # as after a conflict
                early = await take(lease, 8)
        assert [event.id for event in late] == [e.id for e in make_events(3, first=7)]
        assert [event.id for event in early] == [e.id for e in make_events(8, first=2)]

    async def test_an_ack_may_be_repeated_or_come_late(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.publish("t", make_events(4))
            async with leased(transport, "t") as lease:
                await lease.seek(0)
                await take(lease, 2)
                for offset in (2, 2, 1, 0, 2):
                    await lease.ack(offset)
                rest = await take(lease, 2)
        assert [event.id for event in rest] == [e.id for e in make_events(2, first=2)]

    async def test_a_cancelled_fetch_loses_nothing(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            came: list[Event] = []
            async with leased(transport, "t") as lease:
                await lease.seek(0)
                for round_ in range(30):
                    async with background(_fetch_into(came, lease)):
                        await transport.publish("t", [make_event(round_)])
                        for _ in range(round_ % 5):
                            await CLOCK.sleep(0)
                came += await take(lease, 30 - len(came))
        assert [event.id for event in came] == [e.id for e in make_events(30)]


def _with_key(events: list[Event], key: str) -> list[Event]:
    return [make_event(int(event.id[-12:]), key=key) for event in events]


async def _publish_in_threes(transport: Transport, events: list[Event]) -> None:
    for first in range(0, len(events), 3):
        await transport.publish("t", events[first : first + 3])
        await CLOCK.sleep(0)


async def _publish_soon(transport: Transport) -> None:
    for _ in range(5):
        await CLOCK.sleep(0)
    await transport.publish("t", [make_event(1)])


async def _from(transport: Transport, start: int, published: list[Event]) -> list[Event]:
    """Those published at `start` and after it."""
    (first,) = (await transport.read(Partition("t", 0), offset=start, limit=1)).records
    assert first.offset == start
    return published[published.index(first.event) :]


async def _fetch_into(came: list[Event], lease: Lease) -> None:
    batch = await lease.fetch(max_records=10, max_wait_s=PATIENCE_S)
    assert batch is not None
    # Nothing is awaited here: a fetch that returned has given its records.
    came.extend(record.event for record in batch.records)


async def _balanced(group: Group, shares: dict[str, int]) -> None:
    await until(
        lambda: {name: len(held) for name, held in group.held.items()} == shares,
        CLOCK,
        timeout_s=PATIENCE_S,
    )
