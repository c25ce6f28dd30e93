"""A transport and a store to which the things happen that a `Faults` decides."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence, Set
from contextlib import asynccontextmanager

from motet.core.errors import ConfigError
from motet.core.event import Batch, Event, Message, Partition, Record
from motet.core.outcome import Commit, DeadLetter
from motet.core.ports import (
    Advance,
    DeadLetters,
    EventStore,
    GroupProgress,
    Guarantee,
    Lease,
    Outbox,
    Progress,
    ProgressKeeper,
    Queued,
    Recorded,
    StateReader,
    Status,
    Store,
    StoredDeadLetter,
    Subscription,
    TopicInfo,
    Transport,
    Versioned,
)
from motet.testing.faults import Faults


class FaultyTransport:
    """Conforms to `ports.Transport`."""

    def __init__(self, transport: Transport, faults: Faults) -> None:
        self._inner = transport
        self._faults = faults

    @property
    def guarantees(self) -> Guarantee:
        """Those of the transport within."""
        return self._inner.guarantees

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Publish once, twice, or perhaps not."""
        new = await self._faults.call("publish", lambda: self._inner.publish(topic, events))
        if self._faults.twice("publish"):
            new += await self._inner.publish(topic, events)
        return new

    @asynccontextmanager
    async def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AsyncIterator[Subscription]:
        """Join `group`, or not; a dead process does not leave it until it is buried."""
        await self._faults.before("subscribe")
        context = self._inner.subscribe(topics, group=group)
        leases = await context.__aenter__()
        try:
            yield self._wrap(leases, group)
        finally:
            if self._faults.dead:
                self._faults.leave_open(context)
            else:
                await context.__aexit__(None, None, None)

    async def create_topic(
        self, topic: str, *, partitions: int, retention_s: float | None = None
    ) -> None:
        """Create a topic, or change its retention."""
        await self._faults.call(
            "create_topic",
            lambda: self._inner.create_topic(topic, partitions=partitions, retention_s=retention_s),
        )

    async def topics(self) -> Sequence[TopicInfo]:
        """All topics by name."""
        return await self._faults.call("topics", self._inner.topics)

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Records from `offset` on."""
        return await self._faults.call(
            "read", lambda: self._inner.read(partition, offset=offset, limit=limit)
        )

    async def changed(self, max_wait_s: float) -> None:
        """Return when something may have been published."""
        await self._faults.call("changed", lambda: self._inner.changed(max_wait_s))

    async def advanced(self, group: str, partition: Partition) -> Progress:
        """Where the broker has the group."""
        keeper = self._keeper()
        return await self._faults.call("advanced", lambda: keeper.advanced(group, partition))

    async def advance(self, step: Advance) -> None:
        """Publish and note progress; perhaps without the caller hearing of it."""
        keeper = self._keeper()
        await self._faults.call("advance", lambda: keeper.advance(step))

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Append messages; perhaps without the caller hearing of it."""
        keeper = self._keeper()
        await self._faults.call("send", lambda: keeper.send(topic, messages))

    def _keeper(self) -> ProgressKeeper:
        if not isinstance(self._inner, ProgressKeeper):
            raise ConfigError(f"{type(self._inner).__name__} keeps no progress")
        return self._inner

    async def _wrap(self, leases: Subscription, group: str) -> AsyncIterator[Lease]:
        async for lease in leases:
            await self._faults.before("leases")
            yield FaultyLease(lease, group, self._faults)


class FaultyLease:
    """Conforms to `ports.Lease`."""

    def __init__(self, lease: Lease, group: str, faults: Faults) -> None:
        self._inner = lease
        self._group = group
        self._faults = faults

    @property
    def partition(self) -> Partition:
        """The partition leased."""
        return self._inner.partition

    async def seek(self, offset: int) -> None:
        """Read on from `offset`."""
        await self._faults.call("seek", lambda: self._inner.seek(offset))

    async def fetch(self, *, max_records: int, max_wait_s: float) -> Batch | None:
        """Return the next records; nothing goes wrong after them, for then they would be lost."""
        await self._faults.before("fetch")
        self._faults.lose(self._group, self.partition)
        return await self._inner.fetch(max_records=max_records, max_wait_s=max_wait_s)

    async def ack(self, next_offset: int) -> None:
        """Pass the hint on."""
        await self._faults.call("ack", lambda: self._inner.ack(next_offset))


class FaultyStore:
    """Conforms to `ports.Store`."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._inner = store
        self._faults = faults
        self.outbox: Outbox = _FaultyOutbox(store.outbox, faults)
        self.dead_letters: DeadLetters = _FaultyDeadLetters(store.dead_letters, faults)
        self.streams: EventStore = _FaultyStreams(store.streams, faults)

    def state(self, namespace: str) -> StateReader:
        """Committed values of one consumer group."""
        return _FaultyState(self._inner.state(namespace), self._faults)

    async def progress(self, group: str, partition: Partition) -> Progress:
        """Where the group stands."""
        return await self._faults.call("progress", lambda: self._inner.progress(group, partition))

    async def parked(
        self, group: str, partition: Partition, *, now_us: int, limit: int
    ) -> Sequence[Record]:
        """Parked records to be tried now."""
        return await self._faults.call(
            "parked", lambda: self._inner.parked(group, partition, now_us=now_us, limit=limit)
        )

    async def handled(self, group: str, topic: str, ids: Collection[str]) -> Set[str]:
        """Which of these ids the group has handled."""
        return await self._faults.call("handled", lambda: self._inner.handled(group, topic, ids))

    async def commit(self, commit: Commit) -> None:
        """Apply all of it, or nothing; perhaps without the caller hearing of it."""
        await self._faults.call("commit", lambda: self._inner.commit(commit))

    async def groups(self) -> Sequence[GroupProgress]:
        """Every group's place in every partition it has touched."""
        return await self._faults.call("groups", self._inner.groups)


class _FaultyState:
    def __init__(self, state: StateReader, faults: Faults) -> None:
        self._inner = state
        self._faults = faults

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Versioned]:
        return await self._faults.call("state", lambda: self._inner.get_many(keys))


class _FaultyOutbox:
    def __init__(self, outbox: Outbox, faults: Faults) -> None:
        self._inner = outbox
        self._faults = faults

    async def due(self, *, now_us: int, limit: int) -> Sequence[Queued]:
        return await self._faults.call(
            "outbox.due", lambda: self._inner.due(now_us=now_us, limit=limit)
        )

    async def done(self, ids: Collection[int]) -> None:
        await self._faults.call("outbox.done", lambda: self._inner.done(ids))

    async def lead(self, owner: str, *, now_us: int, until_us: int) -> bool:
        return await self._faults.call(
            "outbox.lead", lambda: self._inner.lead(owner, now_us=now_us, until_us=until_us)
        )

    async def changed(self, max_wait_s: float) -> None:
        await self._faults.call("outbox.changed", lambda: self._inner.changed(max_wait_s))

    async def next_due_us(self) -> int | None:
        return await self._faults.call("outbox.next_due_us", self._inner.next_due_us)


class _FaultyDeadLetters:
    def __init__(self, letters: DeadLetters, faults: Faults) -> None:
        self._inner = letters
        self._faults = faults

    async def add(self, letters: Sequence[DeadLetter]) -> None:
        await self._faults.call("dead_letters.add", lambda: self._inner.add(letters))

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
        return await self._faults.call(
            "dead_letters.list",
            lambda: self._inner.list(
                status=status, topic=topic, group=group, code=code, after=after, limit=limit
            ),
        )

    async def get(self, ids: Collection[int]) -> Sequence[StoredDeadLetter]:
        return await self._faults.call("dead_letters.get", lambda: self._inner.get(ids))

    async def redrive(self, ids: Collection[int], *, by: str, now_us: int) -> int:
        return await self._faults.call(
            "dead_letters.redrive", lambda: self._inner.redrive(ids, by=by, now_us=now_us)
        )

    async def archive(self, ids: Collection[int], *, by: str, notes: str, now_us: int) -> int:
        return await self._faults.call(
            "dead_letters.archive",
            lambda: self._inner.archive(ids, by=by, notes=notes, now_us=now_us),
        )

    async def counts(self) -> Mapping[tuple[str, str], int]:
        return await self._faults.call("dead_letters.counts", self._inner.counts)


class _FaultyStreams:
    def __init__(self, streams: EventStore, faults: Faults) -> None:
        self._inner = streams
        self._faults = faults

    async def append(
        self, stream: str, events: Sequence[Event], *, expected: int | None = None
    ) -> int:
        return await self._faults.call(
            "streams.append", lambda: self._inner.append(stream, events, expected=expected)
        )

    async def read(self, stream: str, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        return await self._faults.call(
            "streams.read", lambda: self._inner.read(stream, after=after, limit=limit)
        )

    async def read_all(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        return await self._faults.call(
            "streams.read_all", lambda: self._inner.read_all(after=after, limit=limit)
        )
