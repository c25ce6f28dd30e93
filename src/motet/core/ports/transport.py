"""What the runtime needs from a transport: topics, consumer groups, leases."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Flag, auto
from typing import Protocol, runtime_checkable

import msgspec

from motet.core.event import Batch, Event, Message, Partition
from motet.core.outcome import Emit
from motet.core.ports.state import Progress


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
    size_bytes: int | None  # None: the broker does not say
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


@runtime_checkable
class Troubled(Protocol):
    """A `Subscription` that says so when it cannot take part in its group for now.

    It goes on by itself when it can. Without this, a member that lost all leases to an outage
    looks like one that there were none left for.
    """

    @property
    def trouble(self) -> str:
        """Why no leases come at present; empty when all is well."""
        ...


class Readable(Protocol):
    """What a worker needs of a transport."""

    @property
    def guarantees(self) -> Guarantee:
        """What this transport promises."""
        ...

    def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AbstractAsyncContextManager[Subscription]:
        """Join `group`; leases follow. Leaving the block gives them back."""
        ...


class Transport(Readable, Protocol):
    """How events come in and go out."""

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


class Advance(msgspec.Struct, frozen=True):
    """One step of a group through a partition where the broker itself keeps progress."""

    group: str
    partition: Partition
    next: int  # every offset below is done
    ahead: tuple[int, ...] = ()  # offsets at or above `next` that are done already, ascending
    emits: tuple[Emit, ...] = ()  # to be published first, in order; all are due


@runtime_checkable
class ProgressKeeper(Protocol):
    """A transport that keeps its groups' progress: what delivery mode `transport` needs.

    At least once: a crash between publishing and noting progress publishes again, with the same
    ids. A broker with transactions may do better, and says so.
    """

    async def advanced(self, group: str, partition: Partition) -> Progress:
        """Where the broker has the group: `next` and `ahead`; all defaults if it was never there.

        Raises:
            Unavailable: the broker does not answer.
        """
        ...

    async def advance(self, step: Advance) -> None:
        """Publish what the step emits, then note progress. Durable on return.

        Raises:
            Fenced: the lease on the partition is not held by this transport, or was lost.
            CodecError: an emit could not be read back; nothing was published.
            Unavailable: the broker does not answer; some may be published, progress is not noted.
        """
        ...

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Append messages as they are, in order. Durable on return.

        Raises:
            Unavailable: the broker does not answer; some may be appended.
        """
        ...
