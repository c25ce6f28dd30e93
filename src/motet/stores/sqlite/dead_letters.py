"""Dead letters: kept, looked at, given back to the group that failed, or closed."""

from collections.abc import Collection, Mapping, Sequence

from motet.core.clock import format_time
from motet.core.codec import decode
from motet.core.errors import CodecError
from motet.core.event import Event, Partition
from motet.core.outcome import DeadLetter
from motet.core.ports import Status, StoredDeadLetter
from motet.drivers.sqlite import Database, Transaction, Value, array
from motet.stores.sqlite import letters, steps
from motet.stores.sqlite.rows import text, whole

_OPEN = "status IN ('NEW', 'REVIEWED')"
_LISTED = "id IN (SELECT value FROM json_each(?))"


class SqliteDeadLetters:
    """The article's `dead_letter_queue`; conforms to `ports.DeadLetters`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, letters_: Sequence[DeadLetter]) -> None:
        """Keep what an edge refused. Durable on return."""
        if letters_:
            ids = [self._database.ids.next() for _ in letters_]
            size = sum(len(letter.value) for letter in letters_)
            await self._database.write(
                lambda tx: letters.insert(tx, letters_, ids), size_bytes=size
            )

    async def list(
        self,
        *,
        status: Status | None = None,
        topic: str | None = None,
        group: str | None = None,
        code: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[StoredDeadLetter]:
        """Oldest first, ids above `after`."""
        wanted: dict[str, Value] = {
            "status = ?": status.value if status else None,
            "topic = ?": topic,
            "grp = ?": group,
            "error_info ->> 'code' = ?": code,
        }
        given = {term: value for term, value in wanted.items() if value is not None}
        where = " AND ".join(["id > ?", *given])
        rows = self._database.rows(
            f"{letters.SELECT} WHERE {where} ORDER BY id LIMIT ?", (after, *given.values(), limit)
        )
        return [letters.stored(row) for row in rows]

    async def get(self, ids: Collection[int]) -> Sequence[StoredDeadLetter]:
        """Those that exist, oldest first."""
        sql = f"{letters.SELECT} WHERE {_LISTED} ORDER BY id"
        return [letters.stored(row) for row in self._database.rows(sql, (array(sorted(ids)),))]

    async def redrive(self, ids: Collection[int], *, by: str, now_us: int) -> int:
        """Give each back to the group that failed, behind what its key has parked."""
        listed = array(sorted(ids))
        return await self._database.write(lambda tx: _redrive(tx, listed, by=by, now_us=now_us))

    async def archive(self, ids: Collection[int], *, by: str, notes: str, now_us: int) -> int:
        """Close without a new try; returns how many were open."""
        values = (by, format_time(now_us), notes, array(sorted(ids)))
        return await self._database.write(
            lambda tx: tx.change(
                "UPDATE dead_letter_queue SET status = 'ARCHIVED', reviewed_by = ?,"
                f" reviewed_at = ?, resolution_notes = ? WHERE {_LISTED} AND {_OPEN}",
                values,
            )
        )

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """Number of letters by (status, error code)."""
        rows = self._database.rows(
            "SELECT status, coalesce(error_info ->> 'code', ''), count(*)"
            " FROM dead_letter_queue GROUP BY 1, 2"
        )
        return {(text(status), text(code)): whole(count) for status, code, count in rows}


def _redrive(tx: Transaction, listed: str, *, by: str, now_us: int) -> int:
    rows = tx.rows(f"{letters.SELECT} WHERE {_LISTED} AND {_OPEN} ORDER BY id", (listed,))
    given = 0
    for each in map(letters.stored, rows):
        event = _event(each.letter)
        if event is None:
            continue
        place = Partition(each.letter.topic, each.letter.partition)
        steps.give_back(tx, each.letter.group, place, event, each.letter.offset, now_us)
        tx.change(
            "UPDATE dead_letter_queue SET status = 'RETRIED', reviewed_by = ?, reviewed_at = ?"
            " WHERE id = ?",
            (by, format_time(now_us), each.id),
        )
        given += 1
    return given


def _event(letter: DeadLetter) -> Event | None:
    """The letter's event; None where there is nothing to give back."""
    if not letter.group or letter.offset < 0:
        return None
    try:
        return decode(letter.value)
    except CodecError:
        return None
