from contextlib import AsyncExitStack

import pytest

from motet.core.clock import SystemClock
from motet.core.event import Batch, Broken, Partition, Record
from motet.core.ports import Lease
from motet.drivers.sqlite import Database
from motet.testing import until
from motet.testing.events import make_event, make_events
from motet.transports.sqlite import SqliteTransport
from motet.transports.sqlite.lease import split
from tests.sqlite import fresh

CLOCK = SystemClock()
TWO = [Partition("t", 0), Partition("t", 1)]


def test_a_batch_is_cut_where_the_limit_is_reached() -> None:
    records = tuple(Record(make_event(n), n) for n in (0, 1, 3, 5))
    broken = (Broken(2, b"x", ""), Broken(4, b"y", ""))
    first, rest = split(Batch(TWO[0], records, broken, end=6), 2)
    assert ([r.offset for r in first.records], [b.offset for b in first.broken]) == ([0, 1], [2])
    assert first.end == 3
    assert ([r.offset for r in rest.records], [b.offset for b in rest.broken]) == ([3, 5], [4])
    assert rest.end == 6


@pytest.mark.parametrize("limit", [4, 5])
def test_a_batch_within_the_limit_is_not_cut(limit: int) -> None:
    batch = Batch(TWO[0], tuple(Record(e, n) for n, e in enumerate(make_events(4))), end=4)
    assert split(batch, limit) == (batch, Batch(TWO[0], end=4))


def owners(database: Database) -> list[object]:
    return [row[0] for row in database.rows("SELECT member FROM leases ORDER BY part")]


async def test_a_lease_is_given_back_only_when_what_was_fetched_is_committed() -> None:
    async with fresh() as database, AsyncExitStack() as stack:
        transport = SqliteTransport(database)
        await transport.create_topic("t", partitions=2)
        await transport.publish("t", make_events(20, keys=8))
        first = await stack.enter_async_context(transport.subscribe(["t"], group="g"))
        held: list[Lease] = [await anext(first), await anext(first)]
        ends = []
        for lease in held:
            await lease.seek(0)
            batch = await lease.fetch(max_records=100, max_wait_s=0)
            assert batch is not None
            ends.append(batch.end)
        (me, _) = owners(database)
        second = await stack.enter_async_context(transport.subscribe(["t"], group="g"))
        # The second of two is to be given back: its reader is told, and still has work in hand.
        assert await held[1].fetch(max_records=1, max_wait_s=20) is None
        for _ in range(3):
            await transport.changed(0.1)
            assert owners(database) == [me, me]
        await held[1].ack(ends[1])
        other = await anext(second)
        assert other.partition == held[1].partition
        assert owners(database)[0] == me
        assert owners(database)[1] != me
        assert await held[0].fetch(max_records=1, max_wait_s=0) is not None


async def test_leaving_gives_everything_back_at_once() -> None:
    async with fresh() as database:
        transport = SqliteTransport(database)
        await transport.create_topic("t", partitions=2)
        async with transport.subscribe(["t"], group="g") as leases:
            lease = await anext(leases)
        assert owners(database) == []
        assert database.rows("SELECT count(*) FROM members") == [(0,)]
        assert await lease.fetch(max_records=1, max_wait_s=0) is None


async def test_a_member_that_others_took_for_dead_joins_again() -> None:
    async with fresh() as database:
        transport = SqliteTransport(database, ttl_s=0.3)
        await transport.create_topic("t", partitions=1)
        async with transport.subscribe(["t"], group="g") as leases:
            lease = await anext(leases)
            await database.write(lambda tx: tx.change("DELETE FROM members"))
            await database.write(lambda tx: tx.change("DELETE FROM leases"))
            again = await anext(leases)
            assert await lease.fetch(max_records=1, max_wait_s=20) is None
            await again.seek(0)
            await until(lambda: len(owners(database)) == 1, CLOCK, timeout_s=20)
            assert await again.fetch(max_records=1, max_wait_s=0) is not None


async def test_a_fetch_waits_where_somebody_deleted_what_was_to_come() -> None:
    async with fresh() as database:
        transport = SqliteTransport(database)
        await transport.create_topic("t", partitions=1)
        await transport.publish("t", make_events(3))
        await database.write(lambda tx: tx.change("DELETE FROM log"))
        async with transport.subscribe(["t"], group="g") as leases:
            lease = await anext(leases)
            await lease.seek(0)
            began_s = CLOCK.monotonic_s()
            assert await lease.fetch(max_records=9, max_wait_s=0.05) == Batch(TWO[0], end=0)
            assert CLOCK.monotonic_s() - began_s >= 0.04
            await transport.publish("t", make_events(1, first=3))
            batch = await lease.fetch(max_records=9, max_wait_s=20)
        assert batch is not None
        assert [r.offset for r in batch.records] == [3]
