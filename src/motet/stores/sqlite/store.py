"""The SQLite store: one commit, one savepoint at most, many commits in one transaction."""

from collections.abc import Collection, Sequence, Set

import msgspec

from motet.core.errors import WrongVersion
from motet.core.event import Event, Partition, Record
from motet.core.outcome import Append, Commit, Emit
from motet.core.ports import GroupProgress, Progress
from motet.drivers.sqlite import Database, Prepared, Transaction, array, prepare
from motet.stores.sqlite import inbox, letters, outbox, state, steps, streams
from motet.stores.sqlite.dead_letters import SqliteDeadLetters
from motet.stores.sqlite.outbox import SqliteOutbox
from motet.stores.sqlite.state import SqliteState
from motet.stores.sqlite.streams import SqliteStreams


class SqliteStore:
    """Progress, state, streams, outbox and dead letters in one file; conforms to `ports.Store`.

    With `shared`, the log is in the same file: what a commit emits for now is appended to it
    in the same transaction, and only timers go to the outbox. Without, all of it goes there.
    """

    def __init__(self, database: Database, *, shared: bool = True) -> None:
        self._database = database
        self._shared = shared
        self.outbox = SqliteOutbox(database)
        self.streams = SqliteStreams(database)
        self.dead_letters = SqliteDeadLetters(database)

    def state(self, namespace: str) -> SqliteState:
        """Committed values of one consumer group."""
        return SqliteState(self._database, namespace)

    async def progress(self, group: str, partition: Partition) -> Progress:
        """Where the group stands; all defaults if it was never there."""
        return steps.progress(self._database, group, partition)

    async def parked(
        self, group: str, partition: Partition, *, now_us: int, limit: int
    ) -> Sequence[Record]:
        """Per key whose head is due: the head and what waits behind it, up to one not yet due."""
        return steps.parked(self._database, group, partition, now_us=now_us, limit=limit)

    async def handled(self, group: str, topic: str, ids: Collection[str]) -> Set[str]:
        """Which of these ids the group has handled."""
        return inbox.find(self._database, group, topic, ids)

    async def commit(self, commit: Commit) -> None:
        """Apply all of it, or nothing. Durable on return."""
        work = await self._prepare(commit)
        await self._database.write(work.apply, size_bytes=work.size_bytes)

    async def groups(self) -> Sequence[GroupProgress]:
        """Every group's place in every partition it has touched, by group and partition."""
        return steps.groups(self._database)

    async def _prepare(self, commit: Commit) -> "Work":
        """Encode everything here, on the event loop: the writer's thread only runs statements."""
        now, later = self._sorted(commit)
        emitted = tuple(
            [prepare(await self._database.topic(topic), events) for topic, events in now.items()]
        )
        payloads = outbox.payloads(later)
        writes, wrong = state.merged([put for each in commit.outcomes for put in each.puts])
        return Work(
            commit=commit,
            ahead=array(commit.ahead),
            parking=steps.prepare(commit),
            writes=writes,
            wrong=wrong,
            appends=[append for each in commit.outcomes for append in each.appends],
            emitted=emitted,
            later=later,
            payloads=payloads,
            letter_ids=[self._database.ids.next() for _ in commit.dead],
            size_bytes=sum(each.size_bytes for each in emitted) + sum(map(len, payloads)),
        )

    def _sorted(self, commit: Commit) -> tuple[dict[str, list[Event]], list[Emit]]:
        """Emits for the log by topic, and those for the outbox."""
        now: dict[str, list[Event]] = {}
        later: list[Emit] = []
        now_us = self._database.clock.now_us() if self._shared else -1
        for outcome in commit.outcomes:
            for emit in outcome.emits:
                if emit.not_before_us > now_us:
                    later.append(emit)
                elif emit.topic in now:
                    now[emit.topic].append(emit.event)
                else:
                    now[emit.topic] = [emit.event]
        return now, later


class Work(msgspec.Struct, frozen=True):
    """A commit, encoded."""

    commit: Commit
    ahead: str
    parking: steps.Parking
    writes: list[state.Write]
    wrong: WrongVersion | None
    appends: list[Append]
    emitted: tuple[Prepared, ...]
    later: list[Emit]
    payloads: list[bytes]
    letter_ids: list[str]
    size_bytes: int

    def apply(self, tx: Transaction) -> None:
        """Write all of it. The comparisons come first: who lost a race should lose it early."""
        steps.move(tx, self.commit, self.ahead)
        if self.wrong is not None:  # said only to who holds the partition still
            raise self.wrong
        if self.writes:
            state.write(tx, self.commit.group, self.writes)
        if self.appends:
            streams.append(tx, self.appends)
        steps.write(tx, self.commit, self.parking)
        for each in self.emitted:
            tx.log.add(each)
        outbox.insert(tx, self.later, self.payloads)
        letters.insert(tx, self.commit.dead, self.letter_ids)
        inbox.remember(tx, self.commit)
