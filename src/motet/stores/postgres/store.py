"""The PostgreSQL store: all ports over one schema."""

from collections.abc import Collection, Sequence, Set

from motet.core.event import Partition, Record
from motet.core.outcome import Commit
from motet.core.ports import GroupProgress, Progress
from motet.drivers.postgres import Database
from motet.stores.postgres import inbox, steps
from motet.stores.postgres.commits import prepare
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
        work = prepare(commit, self._database.ids)
        await self._database.write(
            work.apply,
            size_bytes=work.size_bytes,
            single=work.single,
            serial=bool(work.appends),
        )

    async def groups(self) -> Sequence[GroupProgress]:
        """Every group's place in every partition it has touched, by group and partition."""
        return await steps.groups(self._database)
