"""A group's steps through a partition: progress, and the records parked on the way."""

from collections.abc import Sequence

import msgspec

from motet.core.codec import decode, encode
from motet.core.errors import Fenced
from motet.core.event import Event, Partition, Record
from motet.core.outcome import Commit, Park
from motet.core.ports import GroupProgress, Progress
from motet.drivers.sqlite import Database, Row, Transaction, array
from motet.stores.sqlite.rows import blob, json, text, whole

_PLACE = "grp = ? AND topic = ? AND part = ?"
_MOVE = f"""
UPDATE progress SET next = ?, ahead = ?, version = version + 1 WHERE {_PLACE} AND version = ?
"""
_FIRST = """
INSERT OR IGNORE INTO progress (next, ahead, grp, topic, part, version) VALUES (?, ?, ?, ?, ?, 1)
"""
_RAISE = """
INSERT INTO progress (grp, topic, part, next, version) VALUES (?, ?, ?, 0, 1)
ON CONFLICT (grp, topic, part) DO UPDATE SET version = version + 1
"""
_PARK = (
    "INSERT INTO parked"
    ' (grp, topic, part, key, "offset", event, attempt, due_us, error_info, first_failed_us)'
    " VALUES {}"
)
_PARK_ROW = "(?, ?, ?, ?, ?, CAST(? AS TEXT), ?, ?, ?, ?)"
_RETRY = f"""
UPDATE parked SET attempt = ?, due_us = ?, error_info = ?, first_failed_us = ?
WHERE id = ? AND {_PLACE}
"""
# SQLite takes bare columns of a group from the row that has the minimum.
_HEADS = f"SELECT key, due_us, min(id) FROM parked WHERE {_PLACE} GROUP BY key"
_DUE_KEYS = f"SELECT key FROM ({_HEADS}) WHERE due_us <= ?"
_QUEUE = f"""
SELECT id, "offset", attempt, due_us, event, first_failed_us FROM parked
WHERE {_PLACE} AND key = ? ORDER BY id LIMIT ?
"""


def progress(database: Database, group: str, partition: Partition) -> Progress:
    """Where the group stands."""
    place = _place(group, partition)
    step = database.rows(f"SELECT next, version, ahead FROM progress WHERE {_PLACE}", place)
    heads = database.rows(_HEADS, place)
    next_, version, ahead = step[0] if step else (0, 0, "[]")
    return Progress(
        next=whole(next_),
        version=whole(version),
        ahead=tuple(json(ahead, list[int], default=[])),
        parked_keys=frozenset(text(key) for key, _, _ in heads),
        due_us=min((whole(due_us) for _, due_us, _ in heads), default=None),
    )


def parked(
    database: Database, group: str, partition: Partition, *, now_us: int, limit: int
) -> list[Record]:
    """For each key whose head is due: the head and what waits behind it, up to one not yet due."""
    place = _place(group, partition)
    records: list[Record] = []
    for (key,) in database.each(_DUE_KEYS, (*place, now_us)):
        for row in database.rows(_QUEUE, (*place, key, limit - len(records))):
            row_id, offset, attempt, due_us, event, first_us = row
            if whole(due_us) > now_us:
                break
            found = decode(blob(event))
            record = Record(found, whole(offset), whole(attempt), whole(row_id), whole(first_us))
            records.append(record)
        if len(records) >= limit:
            break
    return records


def groups(database: Database) -> Sequence[GroupProgress]:
    """Every group's place in every partition it has touched, by group and partition."""
    rows = database.rows(
        "SELECT grp, topic, part, next, json_array_length(ahead), (SELECT count(*) FROM parked AS k"
        " WHERE k.grp = p.grp AND k.topic = p.topic AND k.part = p.part)"
        " FROM progress AS p ORDER BY grp, topic, part"
    )
    return [
        GroupProgress(
            group=text(group),
            partition=Partition(text(topic), whole(part)),
            next=whole(next_),
            ahead=whole(ahead),
            parked=whole(count),
        )
        for group, topic, part, next_, ahead, count in rows
    ]


def move(tx: Transaction, commit: Commit, ahead: str) -> None:
    """Move progress on, if it is where the commit was computed from.

    Raises:
        Fenced: it is not.
    """
    step = (commit.next, ahead, *_place(commit.group, commit.partition))
    moves, values = (_MOVE, (*step, commit.version)) if commit.version else (_FIRST, step)
    if not tx.change(moves, values):
        raise Fenced(
            f"progress of {commit.group!r} in {commit.partition} is not at version "
            f"{commit.version}: another worker or a redrive moved it"
        )


class Parking(msgspec.Struct, frozen=True):
    """What a commit does to parked records, ready to be written."""

    settled: str  # a JSON array of row ids; empty: none
    retried: Sequence[Row]
    parked: Sequence[Row]


def prepare(commit: Commit) -> Parking:
    """Encode what a commit parks."""
    place = _place(commit.group, commit.partition)
    return Parking(
        settled=array(commit.settled) if commit.settled else "",
        retried=[(*_tried(park), park.record.parked, *place) for park in commit.retried],
        parked=[
            (*place, r.event.key, r.offset, encode(r.event), *_tried(park))
            for park in commit.parks
            for r in (park.record,)
        ],
    )


def write(tx: Transaction, commit: Commit, parking: Parking) -> None:
    """Delete what is settled, change what is tried again, queue what is parked."""
    if parking.settled:
        place = _place(commit.group, commit.partition)
        tx.change(
            f"DELETE FROM parked WHERE id IN (SELECT value FROM json_each(?)) AND {_PLACE}",
            (parking.settled, *place),
        )
    for row in parking.retried:
        tx.change(_RETRY, row)
    tx.change_many(_PARK, _PARK_ROW, parking.parked)


def give_back(
    tx: Transaction, group: str, partition: Partition, event: Event, offset: int, now_us: int
) -> None:
    """Park a dead letter's record for a first try, and make who holds the partition look."""
    place = _place(group, partition)
    row = (*place, event.key, offset, encode(event), 1, now_us, None, 0)
    tx.change_many(_PARK, _PARK_ROW, [row])
    tx.change(_RAISE, place)


def _place(group: str, partition: Partition) -> tuple[str, str, int]:
    return group, partition.topic, partition.index


def _tried(park: Park) -> tuple[int, int, str | None, int]:
    """The columns attempt, due_us, error_info, first_failed_us."""
    error = None if park.error is None else msgspec.json.encode(park.error).decode()
    first_us = park.first_failed_us or park.record.failed_us
    return park.record.attempt, park.due_us, error, first_us
