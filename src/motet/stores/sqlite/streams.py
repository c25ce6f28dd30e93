"""Streams: the article's `agent_events`, one row an event."""

from collections.abc import Sequence

import msgspec

from motet.core.clock import format_time
from motet.core.errors import WrongVersion
from motet.core.event import ABSENT, Event
from motet.core.outcome import Append
from motet.core.ports import Recorded
from motet.drivers.sqlite import Database, Row, Transaction, Value, array
from motet.stores.sqlite.rows import blob, text, whole

_COLUMNS = (
    "session_id, event_sequence, event_id, event_type, event_version, payload, metadata,"
    " correlation_id, causation_id, event_time, event_key, source, event_schema, event_references"
)
_READ = f"SELECT position, {_COLUMNS} FROM agent_events"
_INSERT = f"INSERT INTO agent_events ({_COLUMNS}, created_at) VALUES {{}}"
_ROW = "(" + ", ".join(["?"] * 5 + ["CAST(? AS TEXT)"] * 2 + ["?"] * 6) + ", CAST(? AS TEXT), ?)"
_VERSIONS = """
SELECT json_group_array(coalesce(
  (SELECT max(event_sequence) FROM agent_events WHERE session_id = s.value), 0
)) FROM json_each(?) AS s
"""
_EMPTY = b"{}"


class SqliteStreams:
    """The events of all streams; conforms to `ports.EventStore`.

    Positions are given by the one writer of the file, inside its transaction: they become
    visible in order.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(
        self, stream: str, events: Sequence[Event], *, expected: int | None = None
    ) -> int:
        """Append in order and return the stream's new version; durable on return."""
        wanted = Append(stream, tuple(events), expected)
        size = sum(len(event.data) + 200 for event in events)
        return await self._database.write(lambda tx: append(tx, [wanted])[stream], size_bytes=size)

    async def read(self, stream: str, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Events with versions above `after`, in order."""
        sql = f"{_READ} WHERE session_id = ? AND event_sequence > ? ORDER BY event_sequence LIMIT ?"
        return [_recorded(row) for row in self._database.rows(sql, (stream, after, limit))]

    async def read_all(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Events of all streams with positions above `after`, in order."""
        sql = f"{_READ} WHERE position > ? ORDER BY position LIMIT ?"
        return [_recorded(row) for row in self._database.rows(sql, (after, limit))]


def append(tx: Transaction, appends: Sequence[Append]) -> dict[str, int]:
    """Append to streams, later ones on top of earlier ones; return the new versions.

    Raises:
        WrongVersion: a stream is not at the version expected.
    """
    names = list(dict.fromkeys(each.stream for each in appends))
    found = msgspec.json.decode(text(tx.one(_VERSIONS, (array(names),))), type=list[int])
    versions = dict(zip(names, found, strict=True))
    created = format_time(tx.now_us)
    rows: list[Row] = []
    for each in appends:
        version = versions[each.stream]
        if each.expected is not None and each.expected != version:
            raise WrongVersion(each.stream, expected=each.expected, found=version)
        for event in each.events:
            version += 1
            rows.append(_row(each.stream, version, event, created))
        versions[each.stream] = version
    tx.change_many(_INSERT, _ROW, rows)
    return versions


def _row(stream: str, version: int, event: Event, created: str) -> Row:
    return (
        stream,
        version,
        event.id,
        event.type,
        event.schema_version,
        bytes(event.data),
        _EMPTY if event.metadata is ABSENT else bytes(event.metadata),
        event.correlation_id or None,
        event.causation_id or None,
        event.time,
        event.key,
        event.source,
        event.schema or None,
        None if event.references is ABSENT else bytes(event.references),
        created,
    )


def _recorded(row: tuple[Value, ...]) -> Recorded:
    metadata = blob(row[7])
    event = Event(
        id=text(row[3]),
        type=text(row[4]),
        schema_version=whole(row[5]),
        data=msgspec.Raw(blob(row[6])),
        metadata=ABSENT if metadata in (b"", _EMPTY) else msgspec.Raw(metadata),
        correlation_id=text(row[8]),
        causation_id=text(row[9]),
        time=text(row[10]),
        key=text(row[11]),
        source=text(row[12]),
        schema=text(row[13]),
        references=ABSENT if row[14] is None else msgspec.Raw(blob(row[14])),
    )
    return Recorded(event, text(row[1]), whole(row[2]), whole(row[0]))
