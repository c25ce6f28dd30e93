"""The article's tables, for people who bring its SQL."""

import msgspec
import pytest

from motet.core.clock import format_time
from motet.core.event import Event, Partition
from motet.core.outcome import Append, Commit, DeadLetter, Emit, ErrorInfo, Outcome, Put
from motet.core.ports import Status
from motet.drivers.sqlite import Database, Value, upkeep
from motet.stores.sqlite import SqliteStore
from motet.testing.events import make_event, make_events
from tests.sqlite import fresh

PARTITION = Partition("t", 0)
HOUR_US = 3_600_000_000


def letter(value: bytes = b'{"eventId":"x"}', code: str = "Boom") -> DeadLetter:
    return DeadLetter(
        topic="t",
        partition=0,
        offset=3,
        group="g",
        key="k",
        event_type="thing.happened",
        value=value,
        error=ErrorInfo(code, "it broke", stack="line 1", fingerprint="f00"),
        attempts=5,
    )


async def run(database: Database, sql: str, *values: Value) -> list[tuple[Value, ...]]:
    return await database.write(lambda tx: tx.rows(sql, values))


async def test_the_articles_query_for_a_session_gives_its_columns() -> None:
    events = [make_event(n, data={"content": f"message {n}"}) for n in range(3)]
    async with fresh() as database:
        await SqliteStore(database).streams.append("session-1", events)
        rows = database.rows(
            "SELECT event_sequence, event_type, payload ->> '$.content', metadata, processed"
            " FROM agent_events WHERE session_id = ? ORDER BY event_sequence ASC",
            ("session-1",),
        )
    assert rows == [(n + 1, "thing.happened", f"message {n}", "{}", 0) for n in range(3)]


async def test_an_event_written_by_the_articles_insert_is_read() -> None:
    async with fresh() as database:
        store = SqliteStore(database)
        await store.streams.append("s", [make_event(1)])
        await run(
            database,
            "INSERT INTO agent_events (event_type, session_id, event_sequence, payload)"
            " VALUES ('tool.invoked', 's', 2, '{\"tool\":\"search\"}')",
        )
        _, found = await store.streams.read("s")
        assert await store.streams.append("s", [make_event(3)], expected=2) == 3
    assert (found.event.type, found.version, found.position) == ("tool.invoked", 2, 2)
    assert msgspec.json.decode(found.event.data) == {"tool": "search"}
    assert len(found.event.id) == 36


async def test_an_event_of_a_stream_comes_back_whole() -> None:
    event = Event(
        id="019b7600-0000-7000-8000-00000000abcd",
        type="order.created",
        time="2026-05-25T10:15:30.000123Z",
        key="клиент-42",
        source="/shop",
        schema_version=3,
        schema="https://example.org/order/3",
        correlation_id="c-1",
        causation_id="c-0",
        data=msgspec.Raw('{"note":"é"}'.encode()),
        metadata=msgspec.Raw(b'{"traceparent":"00-aa-bb-01"}'),
        references=msgspec.Raw(b'{"blob":"s3://x"}'),
    )
    async with fresh() as database:
        streams = SqliteStore(database).streams
        await streams.append("s", [event])
        (found,) = await streams.read_all()
    assert found.event == event


async def test_the_articles_outbox_poll_and_mark_work() -> None:
    async with fresh() as database:
        store = SqliteStore(database, shared=False)
        emits = tuple(Emit("t", make_event(n)) for n in range(2))
        await store.commit(Commit("g", PARTITION, 0, 1, outcomes=(Outcome(emits=emits),)))
        rows = database.rows(
            "SELECT * FROM outbox_events WHERE processed = false ORDER BY created_at ASC LIMIT 100"
        )
        assert [row[:3] for row in rows] == [(1, "t", "k"), (2, "t", "k")]
        await run(
            database,
            "UPDATE outbox_events SET processed = true, processed_at = CURRENT_TIMESTAMP"
            " WHERE id = 1",
        )
        (queued,) = await store.outbox.due(now_us=0, limit=9)
    assert queued.emit == emits[1]


async def test_an_outbox_row_that_is_no_event_becomes_a_dead_letter() -> None:
    async with fresh() as database:
        store = SqliteStore(database)
        for payload in ('{"hello":1}', msgspec.json.encode(make_event(2)).decode()):
            await run(
                database,
                "INSERT INTO outbox_events (event_topic, event_payload) VALUES ('t', ?)",
                payload,
            )
        (queued,) = await store.outbox.due(now_us=0, limit=9)
        assert queued.emit.event == make_event(2)
        (row,) = await store.dead_letters.list()
        assert (row.letter.topic, row.letter.value) == ("t", b'{"hello":1}')
        assert "outbox_events.id 1" in row.letter.error.message
        assert len(await store.outbox.due(now_us=0, limit=9)) == 1
        assert len(await store.dead_letters.list()) == 1


async def test_a_timer_is_kept_as_an_outbox_row() -> None:
    async with fresh() as database:
        store = SqliteStore(database)
        later = Outcome(emits=(Emit("t", make_event(1), not_before_us=2**53),))
        await store.commit(Commit("g", PARTITION, 0, 1, outcomes=(later,)))
        rows = database.rows("SELECT event_topic, not_before_us FROM outbox_events")
    assert rows == [("t", 2**53)]


async def test_the_articles_queries_for_dead_letters_work() -> None:
    async with fresh() as database:
        store = SqliteStore(database)
        await store.dead_letters.add([letter(), letter(code="Bang"), letter()])
        (first, *_) = rows = database.rows(
            "SELECT * FROM dead_letter_queue WHERE status = 'NEW' ORDER BY created_at ASC LIMIT 100"
        )
        assert len(rows) == 3
        assert msgspec.json.decode(str(first[2])) == {"eventId": "x"}
        assert msgspec.json.decode(str(first[3]))["code"] == "Boom"
        assert first[4] == 4  # retry_count: tries after the first
        await run(
            database,
            "UPDATE dead_letter_queue SET status = 'RETRIED', resolution_notes = 'by hand'"
            " WHERE dlq_id = ?",
            first[1],
        )
        metrics = database.rows("SELECT status, count, error_code FROM dlq_metrics ORDER BY 1, 3")
        (row,) = await store.dead_letters.get([1])
    assert metrics == [("NEW", 1, "Bang"), ("NEW", 1, "Boom"), ("RETRIED", 1, "Boom")]
    assert (row.status, row.resolution_notes) == (Status.RETRIED, "by hand")


@pytest.mark.parametrize(
    "value", [b"\xff\x00\x01", b"{", b"", b'"\\ud800"', b"[" * 100_000, b"\xef\xbb\xbf{}"]
)
async def test_bytes_that_are_no_json_are_shown_as_base64_and_kept_as_they_are(
    value: bytes,
) -> None:
    async with fresh() as database:
        store = SqliteStore(database)
        await store.dead_letters.add([letter(value)])
        ((valid,),) = database.rows("SELECT json_valid(original_event) FROM dead_letter_queue")
        (row,) = await store.dead_letters.list()
    assert valid == 1
    assert row.letter.value == value


async def test_a_letter_written_by_sql_is_read() -> None:
    async with fresh() as database:
        await run(
            database,
            "INSERT INTO dead_letter_queue (original_event, error_info, status)"
            " VALUES ('{}', 'not json', 'weird')",
        )
        (row,) = await SqliteStore(database).dead_letters.list()
    assert row.letter.error.message == "not json"
    assert row.status is Status.REVIEWED
    assert row.created_us > 0


async def test_removed_state_is_forgotten_after_an_hour_and_processed_rows_after_a_day() -> None:
    async with fresh() as database:
        store = SqliteStore(database, shared=False)
        outcome = Outcome(puts=(Put("a", b"1", 0),), emits=(Emit("t", make_event(1)),))
        await store.commit(Commit("g", PARTITION, 0, 1, outcomes=(outcome,)))
        removal = Outcome(puts=(Put("a", None, 1),))
        await store.commit(Commit("g", PARTITION, 1, 2, outcomes=(removal,)))
        (queued,) = await store.outbox.due(now_us=0, limit=9)
        await store.outbox.done([queued.id])
        await database.write(upkeep.forget)
        assert database.rows("SELECT count(*) FROM state") == [(1,)]
        assert database.rows("SELECT count(*) FROM outbox_events") == [(1,)]
        old = format_time(database.clock.now_us() - 25 * HOUR_US)
        await run(database, "UPDATE state SET updated_us = updated_us - ?", 2 * HOUR_US)
        await run(database, "UPDATE outbox_events SET processed_at = ?", old)
        await database.write(upkeep.forget)
        assert database.rows("SELECT count(*) FROM state") == [(0,)]
        assert database.rows("SELECT count(*) FROM outbox_events") == [(0,)]


async def test_a_commit_with_much_in_it_is_applied_whole() -> None:
    events = make_events(700, keys=50)
    outcome = Outcome(
        puts=tuple(Put(f"k{n}", str(n).encode(), 0) for n in range(1000)),
        appends=tuple(Append(f"s{n % 30}", (event,)) for n, event in enumerate(events)),
        emits=tuple(Emit("out", event) for event in events),
    )
    async with fresh() as database:
        store = SqliteStore(database)
        await store.commit(Commit("g", PARTITION, 0, 1, outcomes=(outcome,)))
        assert database.rows("SELECT count(*), sum(version) FROM state") == [(1000, 1000)]
        assert database.rows("SELECT count(*) FROM agent_events") == [(700,)]
        assert database.topics()[0].events == 700
        for stream in range(30):
            found = await store.streams.read(f"s{stream}")
            assert [r.version for r in found] == list(range(1, len(found) + 1))
            assert [r.event.id for r in found] == [e.id for e in events[stream::30]]
