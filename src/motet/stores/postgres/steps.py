"""A group's steps through a partition: progress, and the records parked on the way."""

from collections.abc import Sequence

import msgspec

from motet.core.codec import decode, encode
from motet.core.event import Event, Partition, Record
from motet.core.outcome import Commit, Park
from motet.core.ports import GroupProgress, Progress
from motet.drivers.postgres import Database, Transaction
from motet.stores.postgres.texts import original, storable

_PLACE = "grp = $1 AND topic = $2 AND part = $3"
_HEADS = f"SELECT DISTINCT ON (key) key, due_us FROM parked WHERE {_PLACE} ORDER BY key, id"
_PROGRESS = f"""
WITH heads AS ({_HEADS})
SELECT p.next, p.version, p.ahead,
  (SELECT array_agg(key) FROM heads), (SELECT min(due_us) FROM heads)
FROM (VALUES (1)) AS one (row)
LEFT JOIN (SELECT next, version, ahead FROM progress WHERE {_PLACE}) AS p ON TRUE
"""
_DUE = f"""
WITH heads AS ({_HEADS})
SELECT q.id, q."offset", q.attempt, q.event, q.first_failed_us
FROM heads AS h CROSS JOIN LATERAL (
  SELECT *, bool_and(due_us <= $4) OVER (ORDER BY id) AS ready FROM (
    SELECT id, "offset", attempt, due_us, event, first_failed_us FROM parked
    WHERE {_PLACE} AND key = h.key ORDER BY id LIMIT $5
  ) AS front
) AS q
WHERE h.due_us <= $4 AND q.ready ORDER BY h.key, q.id LIMIT $5
"""
_GROUPS = """
SELECT grp, topic, part, next, cardinality(ahead), (SELECT count(*) FROM parked AS k
  WHERE k.grp = p.grp AND k.topic = p.topic AND k.part = p.part)
FROM progress AS p ORDER BY grp, topic, part
"""
MOVE = f"""
UPDATE progress SET next = $4, ahead = $5, version = version + 1 WHERE {_PLACE} AND version = $6
"""
FIRST = """
INSERT INTO progress (grp, topic, part, next, ahead, version)
VALUES ($1, $2, $3, $4, $5, $6::bigint + 1)
ON CONFLICT DO NOTHING
"""
_RAISE = """
INSERT INTO progress AS p (grp, topic, part, next, version) VALUES ($1, $2, $3, 0, 1)
ON CONFLICT (grp, topic, part) DO UPDATE SET version = p.version + 1
"""
_SETTLE = f"DELETE FROM parked WHERE {_PLACE} AND id = ANY($4::bigint[])"
_RETRY = f"""
UPDATE parked AS p SET attempt = r.attempt, due_us = r.due_us, error_info = r.error_info,
first_failed_us = r.first_failed_us
FROM unnest($4::bigint[], $5::int[], $6::bigint[], $7::text[], $8::bigint[])
AS r (id, attempt, due_us, error_info, first_failed_us)
WHERE {_PLACE} AND p.id = r.id
"""
_PARK = """
INSERT INTO parked
  (grp, topic, part, key, "offset", event, attempt, due_us, error_info, first_failed_us)
SELECT $1, $2, $3, key, "offset", event, attempt, due_us, error_info, first_failed_us
FROM unnest($4::text[], $5::bigint[], $6::text[], $7::int[], $8::bigint[], $9::text[],
  $10::bigint[]) WITH ORDINALITY
AS p (key, "offset", event, attempt, due_us, error_info, first_failed_us, n) ORDER BY n
"""

Columns = tuple[list[object], ...]
"""Rows as `unnest` takes them apart: a list for each column."""


async def progress(database: Database, group: str, partition: Partition) -> Progress:
    """Where the group stands."""
    (row,) = await database.rows(_PROGRESS, *_place(group, partition))
    next_, version, ahead, keys, due_us = row
    return Progress(
        next=next_ or 0,
        version=version or 0,
        ahead=tuple(ahead or ()),
        parked_keys=frozenset(map(original, keys or ())),
        due_us=due_us,
    )


async def parked(
    database: Database, group: str, partition: Partition, *, now_us: int, limit: int
) -> list[Record]:
    """For each key whose head is due: the head and what waits behind it, up to one not yet due."""
    rows = await database.rows(_DUE, *_place(group, partition), now_us, limit)
    return [
        Record(decode(event.encode()), offset, attempt, row_id, first_us)
        for row_id, offset, attempt, event, first_us in rows
    ]


async def groups(database: Database) -> Sequence[GroupProgress]:
    """Every group's place in every partition it has touched, by group and partition."""
    return [
        GroupProgress(
            group=group, partition=Partition(topic, part), next=next_, ahead=ahead, parked=count
        )
        for group, topic, part, next_, ahead, count in await database.rows(_GROUPS)
    ]


def prepare(commit: Commit) -> Columns:
    """Encode what a commit parks."""
    return _columns([(*_kept(p.record), *_tried(p)) for p in commit.parks])


async def write(tx: Transaction, commit: Commit, parks: Columns) -> None:
    """Delete what is settled, change what is tried again, queue what is parked."""
    place = _place(commit.group, commit.partition)
    if commit.settled:
        await tx.change(_SETTLE, *place, commit.settled)
    if commit.retried:
        rows = _columns([(park.record.parked, *_tried(park)) for park in commit.retried])
        await tx.change(_RETRY, *place, *rows)
    if parks:
        await tx.change(_PARK, *place, *parks)


async def give_back(
    tx: Transaction,
    group: str,
    partition: Partition,
    found: Sequence[tuple[Event, int]],
    now_us: int,
) -> None:
    """Park records of dead letters for a first try, and make who holds the partition look."""
    place = _place(group, partition)
    rows = [(*_kept(Record(event, offset)), 1, now_us, None, 0) for event, offset in found]
    await tx.change(_PARK, *place, *_columns(rows))
    await tx.change(_RAISE, *place)


def _place(group: str, partition: Partition) -> tuple[str, str, int]:
    return group, partition.topic, partition.index


def _kept(record: Record) -> tuple[str, int, str]:
    """The columns key, offset, event."""
    return storable(record.event.key), record.offset, encode(record.event).decode()


def _tried(park: Park) -> tuple[int, int, str | None, int]:
    """The columns attempt, due_us, error_info, first_failed_us."""
    error = None if park.error is None else msgspec.json.encode(park.error).decode()
    first_us = park.first_failed_us or park.record.failed_us
    return park.record.attempt, park.due_us, error, first_us


def _columns(rows: Sequence[tuple[object, ...]]) -> Columns:
    return tuple(map(list, zip(*rows, strict=True)))
