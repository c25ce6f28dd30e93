"""Dead letters: kept, looked at, given back to the group that failed, or closed."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from motet.core.codec import decode
from motet.core.errors import CodecError
from motet.core.event import Event, Partition
from motet.core.outcome import DeadLetter
from motet.core.ports import Status, StoredDeadLetter
from motet.drivers.postgres import Database, Transaction
from motet.stores.postgres import letters, steps

_OPEN = "status IN ('NEW', 'REVIEWED')"
_LISTED = "id = ANY($1::bigint[])"
_LIST = f"""
{letters.SELECT} WHERE id > $1 AND ($3::text IS NULL OR status = $3)
AND ($4::text IS NULL OR topic = $4) AND ($5::text IS NULL OR grp = $5)
AND ($6::text IS NULL OR error_info ->> 'code' = $6) ORDER BY id LIMIT $2
"""
_AT = "TIMESTAMPTZ 'epoch' + $3::bigint * INTERVAL '1 microsecond'"
_RETRIED = f"""
UPDATE dead_letter_queue SET status = 'RETRIED', reviewed_by = $2, reviewed_at = {_AT}
WHERE {_LISTED}
"""
_ARCHIVE = f"""
UPDATE dead_letter_queue SET status = 'ARCHIVED', reviewed_by = $2, reviewed_at = {_AT},
resolution_notes = $4 WHERE {_LISTED} AND {_OPEN}
"""
_COUNTS = """
SELECT status, coalesce(error_info ->> 'code', ''), count(*) FROM dead_letter_queue GROUP BY 1, 2
"""


class PostgresDeadLetters:
    """The article's `dead_letter_queue`; conforms to `ports.DeadLetters`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, letters_: Sequence[DeadLetter]) -> None:
        """Keep what an edge refused. Durable on return."""
        if letters_:
            ids = [self._database.ids.next() for _ in letters_]
            size = sum(len(letter.value) for letter in letters_)
            await self._database.write(
                lambda tx: letters.insert(tx, letters_, ids), size_bytes=size, single=True
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
        wanted = (status.value if status else None, topic, group, code)
        return [
            letters.stored(row) for row in await self._database.rows(_LIST, after, limit, *wanted)
        ]

    async def get(self, ids: Collection[int]) -> Sequence[StoredDeadLetter]:
        """Those that exist, oldest first."""
        sql = f"{letters.SELECT} WHERE {_LISTED} ORDER BY id"
        return [letters.stored(row) for row in await self._database.rows(sql, sorted(ids))]

    async def redrive(self, ids: Collection[int], *, by: str, now_us: int) -> int:
        """Give each back to the group that failed, behind what its key has parked."""
        listed = sorted(ids)
        return await self._database.write(lambda tx: _redrive(tx, listed, by=by, now_us=now_us))

    async def archive(self, ids: Collection[int], *, by: str, notes: str, now_us: int) -> int:
        """Close without a new try; returns how many were open."""
        return await self._database.write(
            lambda tx: tx.change(_ARCHIVE, sorted(ids), by, now_us, notes), single=True
        )

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """Number of letters by (status, error code)."""
        rows = await self._database.rows(_COUNTS)
        return {(status or "", code): count for status, code, count in rows}


async def _redrive(tx: Transaction, listed: Sequence[int], *, by: str, now_us: int) -> int:
    # Locked, so that of two who redrive a letter one finds it closed.
    sql = f"{letters.SELECT} WHERE {_LISTED} AND {_OPEN} ORDER BY id FOR UPDATE"
    by_place: dict[tuple[str, Partition], list[tuple[Event, int]]] = defaultdict(list)
    given: list[int] = []
    for each in map(letters.stored, await tx.rows(sql, listed)):
        event = _event(each.letter)
        if event is not None:
            place = Partition(each.letter.topic, each.letter.partition)
            by_place[each.letter.group, place].append((event, each.letter.offset))
            given.append(each.id)
    for (group, partition), found in sorted(by_place.items(), key=lambda item: item[0]):
        await steps.give_back(tx, group, partition, found, now_us)
    if given:
        await tx.change(_RETRIED, given, by, now_us)
    return len(given)


def _event(letter: DeadLetter) -> Event | None:
    """The letter's event; None where there is nothing to give back."""
    if not letter.group or letter.offset < 0:
        return None
    try:
        return decode(letter.value)
    except CodecError:
        return None
