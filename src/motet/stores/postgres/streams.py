"""Streams: the article's `agent_events`, one row an event."""

from collections.abc import Sequence

import asyncpg
import msgspec

from motet.core.codec import decode, encode
from motet.core.errors import WrongVersion
from motet.core.event import ABSENT, Event
from motet.core.outcome import Append
from motet.core.ports import Recorded
from motet.drivers.postgres import Database, Transaction
from motet.stores.postgres.texts import original, queryable, storable, storable_all

_READ = """
SELECT position, session_id, event_sequence, event, event_id, event_type, event_version,
  payload::text, metadata::text, correlation_id, causation_id, event_time, event_key, source,
  event_schema, created_at
FROM agent_events
"""
# Held until the commit: the next position is given out when those before it can be seen (ADR 19).
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('motet.positions.' || current_schema(), 0))"
_VERSIONS = """
SELECT s.id, (SELECT max(event_sequence) FROM agent_events WHERE session_id = s.id COLLATE "C")
FROM unnest($1::text[]) AS s (id)
"""
_INSERT = """
INSERT INTO agent_events (created_at, session_id, event_sequence, event_id, event_type,
  event_version, payload, metadata, correlation_id, causation_id, event_time, event_key, source,
  event_schema, event)
SELECT to_timestamp($1::float8 / 1e6), session_id, event_sequence, event_id, event_type,
  event_version, payload::jsonb, metadata::jsonb, nullif(correlation_id, ''),
  nullif(causation_id, ''), event_time, event_key, source, nullif(event_schema, ''), event
FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[],
  $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[])
  WITH ORDINALITY
AS e (session_id, event_sequence, event_id, event_type, event_version, payload, metadata,
  correlation_id, causation_id, event_time, event_key, source, event_schema, event, n) ORDER BY n
"""


class PostgresStreams:
    """The events of all streams; conforms to `ports.EventStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(
        self, stream: str, events: Sequence[Event], *, expected: int | None = None
    ) -> int:
        """Append in order and return the stream's new version; durable on return."""
        wanted = Append(stream, tuple(events), expected)
        size = sum(2 * len(event.data) + 500 for event in events)

        async def work(tx: Transaction) -> int:
            return (await append(tx, [wanted]))[stream]

        return await self._database.write(work, size_bytes=size, serial=True)

    async def read(self, stream: str, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Events with versions above `after`, in order."""
        sql = f"{_READ} WHERE session_id = $1 AND event_sequence > $2 ORDER BY 3 LIMIT $3"
        return [
            _recorded(row) for row in await self._database.rows(sql, storable(stream), after, limit)
        ]

    async def read_all(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Events of all streams with positions above `after`, in order."""
        sql = f"{_READ} WHERE position > $1 ORDER BY 1 LIMIT $2"
        return [_recorded(row) for row in await self._database.rows(sql, after, limit)]


async def append(tx: Transaction, appends: Sequence[Append]) -> dict[str, int]:
    """Append to streams, later ones on top of earlier ones; return the new versions.

    Raises:
        WrongVersion: a stream is not at the version expected.
    """
    if not appends:
        return {}
    await tx.one(_LOCK)  # a statement of its own: the next one sees what others committed
    names = list(dict.fromkeys(each.stream for each in appends))
    rows_found = await tx.rows(_VERSIONS, storable_all(names))
    versions = {original(name): version or 0 for name, version in rows_found}
    rows: list[tuple[object, ...]] = []
    for each in appends:
        version = versions[each.stream]
        if each.expected is not None and each.expected != version:
            raise WrongVersion(each.stream, expected=each.expected, found=version)
        rows += [_row(each.stream, version + n, event) for n, event in enumerate(each.events, 1)]
        versions[each.stream] = version + len(each.events)
    if rows:
        await tx.change(_INSERT, tx.now_us, *map(list, zip(*rows, strict=True)))
    return versions


def _row(stream: str, version: int, event: Event) -> tuple[object, ...]:
    return (
        storable(stream),
        version,
        storable(event.id),
        storable(event.type),
        event.schema_version,
        queryable(bytes(event.data)),
        "{}" if event.metadata is ABSENT else queryable(bytes(event.metadata)),
        storable(event.correlation_id),
        storable(event.causation_id),
        storable(event.time),
        storable(event.key),
        storable(event.source),
        storable(event.schema),
        encode(event).decode(),
    )


def _recorded(row: asyncpg.Record) -> Recorded:
    event = _rebuilt(row) if row[3] is None else decode(row[3].encode())
    return Recorded(event, original(row[1]), row[2], row[0])


def _rebuilt(row: asyncpg.Record) -> Event:
    """An event that somebody's SQL wrote."""
    return Event(
        id=row[4],
        type=row[5],
        schema_version=row[6] or 1,
        data=msgspec.Raw(row[7].encode()),
        metadata=ABSENT if row[8] in (None, "{}") else msgspec.Raw(row[8].encode()),
        correlation_id=row[9] or "",
        causation_id=row[10] or "",
        time=row[11] or row[15].isoformat(),
        key=row[12] or "",
        source=row[13] or "",
        schema=row[14] or "",
    )
