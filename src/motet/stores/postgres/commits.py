"""A commit as statements: one round trip for most, one transaction for all."""

import msgspec

from motet.core.errors import Fenced, WrongVersion
from motet.core.ids import Ids
from motet.core.outcome import Append, Commit, Emit
from motet.drivers.postgres import Transaction
from motet.stores.postgres import inbox, letters, outbox, state, steps, streams
from motet.stores.postgres.texts import storable_all

# Where progress did not move, the rest finds nothing to insert.
_MOVED = "WHERE EXISTS (SELECT FROM moved)"
_STEP = f"""
WITH moved AS ({{move}} RETURNING 1),
queued AS ({outbox.INSERT.format(where=_MOVED)}),
remembered AS ({inbox.REMEMBER.format(where=_MOVED)})
SELECT count(*) FROM moved
"""
_FIRST, _NEXT = _STEP.format(move=steps.FIRST), _STEP.format(move=steps.MOVE)


class Work(msgspec.Struct, frozen=True):
    """A commit, encoded."""

    commit: Commit
    parked: steps.Columns
    writes: list[state.Write]
    wrong: WrongVersion | None
    appends: list[Append]
    emits: list[Emit]
    columns: outbox.Columns
    letter_ids: list[str]
    size_bytes: int

    @property
    def single(self) -> bool:
        """Whether one statement is all of it: progress, outbox and inbox."""
        commit = self.commit
        beside = commit.parks or commit.retried or commit.settled or commit.dead
        return not (beside or self.writes or self.appends)

    async def apply(self, tx: Transaction) -> None:
        """Write all of it. Progress comes first: who lost a race should lose it early.

        Streams come last: what they lock, other writers of streams wait for.
        """
        await self._move(tx)
        if self.wrong is not None:  # said only to who holds the partition still
            raise self.wrong
        await state.write(tx, self.commit.group, self.writes)
        await steps.write(tx, self.commit, self.parked)
        await letters.insert(tx, self.commit.dead, self.letter_ids)
        await streams.append(tx, self.appends)

    async def _move(self, tx: Transaction) -> None:
        commit = self.commit
        moved = await tx.one(
            _NEXT if commit.version else _FIRST,
            commit.group,
            commit.partition.topic,
            commit.partition.index,
            commit.next,
            commit.ahead,
            commit.version,
            tx.now_us,
            *self.columns,
            storable_all(commit.handled),
        )
        if not moved:
            raise Fenced(
                f"progress of {commit.group!r} in {commit.partition} is not at version "
                f"{commit.version}: another worker or a redrive moved it"
            )
        tx.queued |= bool(self.emits)


def prepare(commit: Commit, ids: Ids) -> Work:
    """Encode everything before the transaction begins."""
    emits = [emit for each in commit.outcomes for emit in each.emits]
    columns = outbox.columns(emits)
    writes, wrong = state.merged([put for each in commit.outcomes for put in each.puts])
    rows = len(emits) + len(writes) + len(commit.handled)
    return Work(
        commit=commit,
        parked=steps.prepare(commit),
        writes=writes,
        wrong=wrong,
        appends=[append for each in commit.outcomes for append in each.appends],
        emits=emits,
        columns=columns,
        letter_ids=[ids.next() for _ in commit.dead],
        size_bytes=sum(map(len, columns[2])) + 100 * rows,
    )
