import asyncio

import msgspec
import pytest

from motet.core.errors import CodecError, ConfigError, WrongVersion
from motet.core.event import Batch, Event, Partition
from motet.drivers.sqlite import Database, Topic, Transaction, prepare, upkeep
from motet.drivers.sqlite.log import BLOCK_BYTES, BLOCK_EVENTS
from motet.testing.events import make_event, make_events
from tests.sqlite import fresh

ONE = Partition("t", 0)


async def publish(database: Database, *events: Event) -> int:
    prepared = prepare(await database.topic("t"), events)
    return await database.write(lambda tx: tx.log.add(prepared))


def everything(database: Database, *, offset: int = 0) -> Batch:
    return database.read(ONE, offset=offset, limit=1_000_000)


def ids(batch: Batch) -> list[str]:
    return [record.event.id for record in batch.records]


async def one_partition(database: Database, *, retention_s: float | None = None) -> None:
    await database.create_topic("t", partitions=1, retention_s=retention_s)


def test_a_block_is_bounded_in_events_and_bytes() -> None:
    small = prepare(Topic(1, "t", 1), make_events(2 * BLOCK_EVENTS + 1))
    assert [block.count for block in small.blocks] == [BLOCK_EVENTS, BLOCK_EVENTS, 1]
    large = [make_event(n, data="x" * (BLOCK_BYTES // 3)) for n in range(7)]
    blocks = prepare(Topic(1, "t", 1), large).blocks
    assert sum(block.count for block in blocks) == 7
    assert max(len(block.body) for block in blocks) <= BLOCK_BYTES


def test_an_event_larger_than_a_block_has_one_of_its_own() -> None:
    huge = make_event(1, data="x" * (2 * BLOCK_BYTES))
    blocks = prepare(Topic(1, "t", 1), [make_event(0), huge, make_event(2)]).blocks
    assert sorted(block.count for block in blocks) == [1, 1, 1]


def test_an_id_with_a_nul_is_refused() -> None:
    with pytest.raises(CodecError):
        prepare(Topic(1, "t", 1), [make_event(id="a\0b")])


async def test_small_publishes_of_one_transaction_become_one_block() -> None:
    async with fresh() as database:
        await one_partition(database)
        async with asyncio.TaskGroup() as tasks:
            for n in range(100):
                tasks.create_task(publish(database, make_event(n)), name=f"p{n}")
        ((blocks, most),) = database.rows("SELECT count(*), max(count) FROM log")
        assert ids(everything(database)) == [make_event(n).id for n in range(100)]
    assert blocks < 50
    assert most > 1


async def test_reading_may_start_anywhere_in_a_block() -> None:
    async with fresh() as database:
        await one_partition(database)
        for first in (0, 10, 25):
            await publish(database, *make_events({0: 10, 10: 15, 25: 5}[first], first=first))
        for offset in range(31):
            batch = everything(database, offset=offset)
            assert [r.offset for r in batch.records] == list(range(offset, 30))
            assert ids(batch) == [make_event(n).id for n in range(offset, 30)]
            assert batch.end == 30


async def test_a_read_stops_at_the_end_of_the_block_that_fills_it() -> None:
    async with fresh() as database:
        await one_partition(database)
        for first in range(0, 50, 10):
            await publish(database, *make_events(10, first=first))
        assert database.read(ONE, offset=0, limit=15).end == 20
        assert database.read(ONE, offset=18, limit=2).end == 20


async def test_bytes_that_are_no_event_keep_their_place() -> None:
    async with fresh() as database:
        await one_partition(database)
        await publish(database, make_event(0))
        await database.write(lambda tx: tx.log.add_bytes(ONE, b"\xff\x00"))
        await publish(database, make_event(2))
        batch = everything(database)
    assert [(b.offset, b.value) for b in batch.broken] == [(1, b"\xff\x00")]
    assert [r.offset for r in batch.records] == [0, 2]
    assert batch.end == 3


async def test_a_block_that_somebody_changed_loses_only_what_is_no_event() -> None:
    async with fresh() as database:
        await one_partition(database)
        await publish(database, *make_events(3))
        await publish(database, *make_events(2, first=3))
        bad = msgspec.json.encode([make_event(0), {"eventId": 7}, make_event(2)])
        await database.write(
            lambda tx: tx.change("UPDATE log SET body = ? WHERE first = 0", (bad,))
        )
        batch = everything(database)
        assert [r.offset for r in batch.records] == [0, 2, 3, 4]
        assert [b.offset for b in batch.broken] == [1]
        await database.write(
            lambda tx: tx.change("UPDATE log SET body = ? WHERE first = 0", (b"oops",))
        )
        batch = everything(database)
    assert [r.offset for r in batch.records] == [3, 4]
    assert [(b.offset, b.value) for b in batch.broken] == [(0, b"oops")]
    assert batch.end == 5


async def damage(database: Database, *events: Event) -> None:
    """Publish the events as one block, whatever is in them."""
    await publish(database, *[make_event(n) for n in range(len(events))])
    body = msgspec.json.encode(events)
    await database.write(lambda tx: tx.change("UPDATE log SET body = ?", (body,)))


def with_data(number: int, data: bytes) -> Event:
    return msgspec.structs.replace(make_event(number), data=msgspec.Raw(data))


async def test_a_payload_that_is_no_json_takes_no_other_event_along() -> None:
    nested = msgspec.json.encode([make_event(n) for n in range(7, 10)])
    html = b'<a href="x,y">{"[</a>'
    events = [with_data(0, b""), with_data(1, nested), with_data(2, html), make_event(3)]
    async with fresh() as database:
        await one_partition(database)
        await damage(database, *events)
        for offset in range(4):
            batch = everything(database, offset=offset)
            assert [r.offset for r in batch.records] == [n for n in (1, 3) if n >= offset]
            assert [b.offset for b in batch.broken] == [n for n in (0, 2) if n >= offset]
            assert all(html in b.value for b in batch.broken if b.offset == 2)
            assert batch.end == 4
        records = {r.offset: r.event for r in everything(database).records}
    assert bytes(records[1].data) == nested
    assert records[3] == make_event(3)


async def test_a_payload_too_deep_for_the_decoder_takes_no_other_event_along() -> None:
    async with fresh() as database:
        await one_partition(database)
        deep = with_data(1, b"[" * 100_000 + b"]" * 100_000)
        await damage(database, make_event(0), deep, make_event(2))
        batch = everything(database)
    assert [r.offset for r in batch.records] == [0, 2]
    assert [b.offset for b in batch.broken] == [1]


@pytest.mark.parametrize("body", [b"oops", b"[]", b"", b"[1,2,3,4]", b"\xff[{}]"])
async def test_a_block_beyond_repair_is_one_letter_wherever_reading_starts(body: bytes) -> None:
    async with fresh() as database:
        await one_partition(database)
        await publish(database, *make_events(3))
        await publish(database, *make_events(2, first=3))
        await database.write(
            lambda tx: tx.change("UPDATE log SET body = ? WHERE first = 0", (body,))
        )
        for offset in range(3):
            batch = everything(database, offset=offset)
            assert [(b.offset, b.value) for b in batch.broken] == [(offset, body)]
            assert [r.offset for r in batch.records] == [3, 4]
            assert batch.end == 5


async def test_an_id_twice_in_one_publish_is_kept_once() -> None:
    async with fresh() as database:
        await one_partition(database)
        assert await publish(database, make_event(1), make_event(2), make_event(1)) == 2
        assert ids(everything(database)) == [make_event(1).id, make_event(2).id]


async def test_publishes_of_one_transaction_share_their_ids() -> None:
    async with fresh() as database:
        await one_partition(database)
        counts: list[int] = []

        async def one() -> None:
            counts.append(await publish(database, *make_events(5)))

        async with asyncio.TaskGroup() as tasks:
            for n in range(8):
                tasks.create_task(one(), name=f"p{n}")
        assert sorted(counts) == [0] * 7 + [5]
        assert len(everything(database).records) == 5


async def test_a_unit_that_fails_takes_nobody_along() -> None:
    async with fresh() as database:
        await one_partition(database)
        results: list[object] = []

        def fails(tx: Transaction) -> None:
            prepared = prepare(Topic(1, "t", 1), [make_event(1000)])
            tx.log.add(prepared)
            tx.change("INSERT INTO state VALUES ('n', 'k', 'v', 1, 0)")
            raise WrongVersion("k", expected=1, found=2)

        async def bad() -> None:
            with pytest.raises(WrongVersion):
                await database.write(fails)
            results.append("refused")

        async def good(number: int) -> None:
            results.append(await publish(database, make_event(number)))

        async with asyncio.TaskGroup() as tasks:
            for n in range(10):
                tasks.create_task(good(n), name=f"good {n}")
                tasks.create_task(bad(), name=f"bad {n}")
        assert sorted(results, key=str) == [1] * 10 + ["refused"] * 10
        assert database.rows("SELECT count(*) FROM state") == [(0,)]
        assert sorted(ids(everything(database))) == [make_event(n).id for n in range(10)]
        assert await publish(database, make_event(1000)) == 1  # its id was given back


async def test_what_is_older_than_the_retention_is_forgotten_with_its_ids() -> None:
    async with fresh() as database:
        await one_partition(database, retention_s=3600.0)
        await publish(database, *make_events(5))
        await database.write(
            lambda tx: tx.change("UPDATE log SET appended_us = appended_us - 3601000000")
        )
        await publish(database, *make_events(3, first=5))
        await database.write(upkeep.forget)
        (info,) = database.topics()
        batch = everything(database)
        assert (info.starts, info.ends, info.events) == ((5,), (8,), 3)
        assert [r.offset for r in batch.records] == [5, 6, 7]
        assert database.rows("SELECT count(*) FROM event_ids") == [(3,)]
        assert await publish(database, make_event(0)) == 1
        ((size,),) = database.rows("SELECT sum(length(body)) FROM log")
        assert database.topics()[0].size_bytes == size


async def test_without_a_retention_nothing_is_forgotten() -> None:
    async with fresh() as database:
        await one_partition(database)
        await publish(database, *make_events(5))
        await database.write(lambda tx: tx.change("UPDATE log SET appended_us = 0"))
        assert not await database.write(upkeep.forget)
        assert len(everything(database).records) == 5


async def test_much_is_forgotten_in_small_steps() -> None:
    async with fresh() as database:
        await one_partition(database, retention_s=3600.0)
        for n in range(70):
            await publish(database, make_event(n))
        await database.write(lambda tx: tx.change("UPDATE log SET appended_us = 0"))
        steps = 1
        while await database.write(upkeep.forget):
            steps += 1
        assert steps == 3
        assert everything(database).records == ()


async def test_a_topic_cannot_change_its_partitions() -> None:
    async with fresh() as database:
        await database.create_topic("t", partitions=2, retention_s=None)
        with pytest.raises(ConfigError, match="has 2 partitions, not 3"):
            await database.create_topic("t", partitions=3, retention_s=None)


async def test_the_log_can_be_queried_one_event_a_row() -> None:
    async with fresh() as database:
        await one_partition(database)
        await publish(database, make_event(0, data={"total": 5}), make_event(1, key="other"))
        await database.write(lambda tx: tx.log.add_bytes(ONE, b"\xff"))
        await publish(database, make_event(3))
        rows = database.rows(
            "SELECT \"offset\", event_id, event_key, payload ->> '$.total' FROM events"
        )
    assert rows == [
        (0, make_event(0).id, "k", 5),
        (1, make_event(1).id, "other", None),
        (3, make_event(3).id, "k", None),
    ]
