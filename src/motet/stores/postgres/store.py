"""The PostgreSQL store: one commit, one transaction, a statement for each table it writes to."""

from collections.abc import Collection, Sequence, Set

import msgspec

from motet.core.errors import WrongVersion
from motet.core.event import Partition, Record
from motet.core.outcome import Append, Commit, Emit
from motet.core.ports import GroupProgress, Progress
from motet.drivers.postgres import Database, Transaction
from motet.stores.postgres import inbox, letters, outbox, state, steps, streams
from motet.stores.postgres.dead_letters import PostgresDeadLetters
from motet.stores.postgres.outbox import PostgresOutbox
from motet.stores.postgres.state import PostgresState
from motet.stores.postgres.streams import PostgresStreams


class PostgresStore:
    """Progress, state, streams, outbox and dead letters in one schema; conforms to `ports.Store`.

    The log is another system: what a commit emits waits in the outbox for a relay.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.outbox = PostgresOutbox(database)
        self.streams = PostgresStreams(database)
        self.dead_letters = PostgresDeadLetters(database)

    def state(self, namespace: str) -> PostgresState:
        """Committed values of one consumer group."""
        return PostgresState(self._database, namespace)

    async def progress(self, group: str, partition: Partition) -> Progress:
        """Where the group stands; all defaults if it was never there."""
        return await steps.progress(self._database, group, partition)

    async def parked(
        self, group: str, partition: Partition, *, now_us: int, limit: int
    ) -> Sequence[Record]:
        """Per key whose head is due: the head and what waits behind it, up to one not yet due."""
        return await steps.parked(self._database, group, partition, now_us=now_us, limit=limit)

    async def handled(self, group: str, topic: str, ids: Collection[str]) -> Set[str]:
        """Which of these ids the group has handled."""
        return await inbox.find(self._database, group, topic, ids)

    async def commit(self, commit: Commit) -> None:
        """Apply all of it, or nothing. Durable on return."""
        work = self._prepare(commit)
        await self._database.write(work.apply, size_bytes=work.size_bytes)

    async def groups(self) -> Sequence[GroupProgress]:
        """Every group's place in every partition it has touched, by group and partition."""
        return await steps.groups(self._database)

    def _prepare(self, commit: Commit) -> "Work":
        """Encode everything before the transaction begins."""
        emits = [emit for each in commit.outcomes for emit in each.emits]
        payloads = outbox.payloads(emits)
        writes, wrong = state.merged([put for each in commit.outcomes for put in each.puts])
        rows = len(emits) + len(writes) + len(commit.handled)
        return Work(
            commit=commit,
            parked=steps.prepare(commit),
            writes=writes,
            wrong=wrong,
            appends=[append for each in commit.outcomes for append in each.appends],
            emits=emits,
            payloads=payloads,
            letter_ids=[self._database.ids.next() for _ in commit.dead],
            size_bytes=sum(map(len, payloads)) + 100 * rows,
        )


class Work(msgspec.Struct, frozen=True):
    """A commit, encoded."""

    commit: Commit
    parked: steps.Columns
    writes: list[state.Write]
    wrong: WrongVersion | None
    appends: list[Append]
    emits: list[Emit]
    payloads: list[str]
    letter_ids: list[str]
    size_bytes: int

    async def apply(self, tx: Transaction) -> None:
        """Write all of it. The comparisons come first: who lost a race should lose it early.

        Streams come last: what they lock, other writers of streams wait for.
        """
        await steps.move(tx, self.commit)
        if self.wrong is not None:  # said only to who holds the partition still
            raise self.wrong
        await state.write(tx, self.commit.group, self.writes)
        await steps.write(tx, self.commit, self.parked)
        await outbox.insert(tx, self.emits, self.payloads)
        await letters.insert(tx, self.commit.dead, self.letter_ids)
        await inbox.remember(tx, self.commit)
        await streams.append(tx, self.appends)
