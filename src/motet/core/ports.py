"""What the runtime needs from the outside: clock, transport, store."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum, Flag, auto
from typing import Protocol

import msgspec

from motet.core.event import Batch, Event, Partition, Record
from motet.core.outcome import Commit, DeadLetter, Emit, Outcome


class Clock(Protocol):
    """Time and chance. Everything that waits, stamps or draws lots goes through one."""

    def now_us(self) -> int:
        """Wall clock, microseconds since the Unix epoch, UTC. May jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go back; for durations."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` seconds. Safe to cancel."""
        ...

    def random(self) -> float:
        """A number in [0, 1) for jitter; never for ids or secrets."""
        ...


class Guarantee(Flag):
    """What a transport promises. The contract suite tests each flag that is claimed."""

    ORDERED = auto()  # per key, under one consumer
    STABLE_OFFSETS = auto()  # a redelivered record keeps its offset
    REPLAYABLE = auto()  # old offsets can be read again
    DEDUPLICATED = auto()  # an id is kept once per topic, however often it is published
    SHARED_TX = auto()  # lives in the store's database: emits join the commit


class TopicInfo(msgspec.Struct, frozen=True):
    """A topic as operators see it."""

    name: str
    partitions: int
    retention_s: float | None  # None: kept for ever
    events: int  # still in the log
    size_bytes: int
    ends: tuple[int, ...]  # next offset to be written, per partition
    starts: tuple[int, ...]  # oldest offset kept, per partition


class Lease(Protocol):
    """The right to read one partition for a group, until it is taken away. Pull-based."""

    @property
    def partition(self) -> Partition:
        """What is leased."""
        ...

    async def seek(self, offset: int) -> None:
        """Read on from `offset`. Called once, before the first fetch."""
        ...

    async def fetch(self, *, max_records: int, max_wait_s: float) -> Batch | None:
        """Return the next records as soon as there are any.

        An empty batch after `max_wait_s`; None once the lease is lost. Where retention took what
        was to come and nothing follows yet, an empty batch is returned once without waiting: its
        `end` has moved to the oldest offset kept, and is to be committed like any other. Safe to
        cancel: a record that was not returned is not lost.
        """
        ...

    async def ack(self, next_offset: int) -> None:
        """Every record below `next_offset` is committed: a hint that saves rereading."""
        ...


Subscription = AsyncIterator[Lease]
"""Leases as the group's balancing hands them out. Ends when the transport closes."""


class Transport(Protocol):
    """How events come in and go out."""

    @property
    def guarantees(self) -> Guarantee:
        """What this transport promises."""
        ...

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Append events in order and return how many were new. All are durable on return.

        With `DEDUPLICATED`, an id that the topic's retained log has is passed over. Events
        of one key keep their order; an unknown topic is created with the default settings.
        Safe to cancel: then either all were appended or none.

        Raises:
            CodecError: an event could not be read back (its payload is no JSON value, an
                attribute of another type than declared) or breaks `envelope.Limits`; the message
                has its id, `where` its member. Nothing was appended.
            Unavailable: the log could not be written; nothing was appended.
        """
        ...

    def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AbstractAsyncContextManager[Subscription]:
        """Join `group`; leases follow. Leaving the block gives them back."""
        ...

    async def create_topic(
        self, topic: str, *, partitions: int, retention_s: float | None = None
    ) -> None:
        """Create a topic, or change its retention. Idempotent.

        Raises:
            ConfigError: it exists with another number of partitions (that would move keys).
        """
        ...

    async def topics(self) -> Sequence[TopicInfo]:
        """All topics by name."""
        ...

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Records from `offset` on, or from the oldest kept, without joining a group.

        `end` is at least `offset` and the oldest offset kept, also where nothing is there.
        """
        ...

    async def changed(self, max_wait_s: float) -> None:
        """Return when something may have been published, or after `max_wait_s`."""
        ...


class Versioned(msgspec.Struct, frozen=True):
    """A state value and how often its key was written."""

    value: bytes
    version: int


class StateReader(Protocol):
    """Committed state of one namespace."""

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Versioned]:
        """Values by key, in one round trip. Missing keys are missing from the answer."""
        ...


class Progress(msgspec.Struct, frozen=True):
    """How far a group is in a partition."""

    next: int = 0  # every offset below is done
    version: int = 0  # raised by each commit; 0: none yet
    ahead: tuple[int, ...] = ()  # done at or above `next`, ascending
    parked_keys: frozenset[str] = frozenset()  # keys with records parked
    due_us: int | None = None  # the earliest next try of a parked head; None: nothing parked


class GroupProgress(msgspec.Struct, frozen=True):
    """A group's place in a partition, as operators see it."""

    group: str
    partition: Partition
    next: int
    ahead: int  # number of offsets done at or above `next`
    parked: int  # records waiting for another try, or behind one that does


class Queued(msgspec.Struct, frozen=True):
    """An event in the outbox."""

    id: int  # row id, in order of writing
    emit: Emit


class Outbox(Protocol):
    """Events committed but not yet published: timers, and all when the log is another system."""

    async def due(self, *, now_us: int, limit: int) -> Sequence[Queued]:
        """Those to be published by now, in the order they were written."""
        ...

    async def done(self, ids: Collection[int]) -> None:
        """Mark them published. Idempotent."""
        ...

    async def next_due_us(self) -> int | None:
        """When the next one is due; None: the outbox is empty."""
        ...


class Status(Enum):
    """What became of a dead letter: the article's four."""

    NEW = "NEW"
    REVIEWED = "REVIEWED"
    RETRIED = "RETRIED"
    ARCHIVED = "ARCHIVED"


class StoredDeadLetter(msgspec.Struct, frozen=True):
    """A dead letter as kept, with what was done about it."""

    id: int
    dlq_id: str  # UUID
    letter: DeadLetter
    status: Status
    created_us: int
    reviewed_by: str = ""
    reviewed_us: int = 0
    resolution_notes: str = ""


class DeadLetters(Protocol):
    """The article's `dead_letter_queue`."""

    async def add(self, letters: Sequence[DeadLetter]) -> None:
        """Keep what an edge refused. Durable on return."""
        ...

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
        ...

    async def get(self, ids: Collection[int]) -> Sequence[StoredDeadLetter]:
        """Those that exist, oldest first."""
        ...

    async def redrive(self, ids: Collection[int], *, by: str, now_us: int) -> int:
        """Give each back to the group that failed, behind what its key has parked.

        Only NEW and REVIEWED ones; returns how many. Letters of the edge (no group, or bytes
        that are no event) are left alone: they have to be published again, corrected.
        """
        ...

    async def archive(self, ids: Collection[int], *, by: str, notes: str, now_us: int) -> int:
        """Close without a new try; returns how many were open."""
        ...

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """Number of letters by (status, error code)."""
        ...


class Recorded(msgspec.Struct, frozen=True):
    """An event in a stream."""

    event: Event
    stream: str
    version: int  # 1 for the first event of the stream
    position: int  # over all streams; never becomes visible out of order


class EventStore(Protocol):
    """Streams: the events of one entity, in order."""

    async def append(
        self, stream: str, events: Sequence[Event], *, expected: int | None = None
    ) -> int:
        """Append in order and return the stream's new version. Durable on return.

        Raises:
            WrongVersion: the stream is not at `expected`; nothing was appended.
        """
        ...

    async def read(self, stream: str, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Events with versions above `after`, in order."""
        ...

    async def read_all(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Events of all streams with positions above `after`, in order."""
        ...


class Store(Protocol):
    """Where progress, state, streams, outbox and dead letters are kept, under one transaction."""

    @property
    def outbox(self) -> Outbox:
        """Events committed but not yet published."""
        ...

    @property
    def dead_letters(self) -> DeadLetters:
        """Events that failed for good."""
        ...

    @property
    def streams(self) -> EventStore:
        """The events of each entity."""
        ...

    def state(self, namespace: str) -> StateReader:
        """Committed values of one consumer group."""
        ...

    async def progress(self, group: str, partition: Partition) -> Progress:
        """Where the group stands; all defaults if it was never there."""
        ...

    async def parked(
        self, group: str, partition: Partition, *, now_us: int, limit: int
    ) -> Sequence[Record]:
        """Parked records to be tried now, each with its row id in `parked`.

        For each key whose head is due: the head and what waits behind it, in order, up to the
        first that is not due itself.
        """
        ...

    async def commit(self, commit: Commit) -> None:
        """Apply all of it, or nothing. Durable on return.

        State is written in the namespace of the group. Safe to cancel: then it was applied
        whole or not at all, and the progress version tells which.

        Raises:
            Fenced: progress is not at `commit.version`; another worker moved it.
            WrongVersion: a stream or a value is not at the version expected.
            Unavailable: the database could not be written.
        """
        ...

    async def groups(self) -> Sequence[GroupProgress]:
        """Every group's place in every partition it has touched."""
        ...


class Concurrency(Enum):
    """How a processor wants to be called."""

    BATCH = "batch"  # one call per batch, on the event loop; the next after its commit
    LANES = "lanes"  # one call per record, keys side by side, each key in order


class Processor(Protocol):
    """What every kind of handler compiles to."""

    @property
    def name(self) -> str:
        """Consumer group and state namespace: renaming it means starting over."""
        ...

    @property
    def topics(self) -> frozenset[str]:
        """The topics it reads."""
        ...

    @property
    def concurrency(self) -> Concurrency:
        """How it wants to be called."""
        ...

    @property
    def parks(self) -> bool:
        """After a failure, later records of its key wait (True) or go on without it (False)."""
        ...

    async def process(self, batch: Batch, state: StateReader, *, now_us: int) -> Outcome:
        """Decide what a batch leads to; performs nothing.

        A record whose handling failed is in `Outcome.failures`, with its effects left out; and
        if the processor parks and the record may be tried again, later ones of its key follow
        as failures with no error. One that failed for good holds nothing up.
        """
        ...


class Timetable(Protocol):
    """Events that come with time: one at every tick, the same in every process."""

    @property
    def topic(self) -> str:
        """Where they are published."""
        ...

    def next_us(self, after_us: int) -> int:
        """Return the first tick after an instant, both in microseconds since the Unix epoch."""
        ...

    def event(self, tick_us: int) -> Event:
        """Return the event of one tick, always the same: its id is derived from the tick."""
        ...
