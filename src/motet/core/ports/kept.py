"""What a store keeps beside progress and state: outbox, dead letters, streams."""

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from motet.core.event import Event
from motet.core.outcome import DeadLetter, Emit


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

    async def lead(self, owner: str, *, now_us: int, until_us: int) -> bool:
        """Whether `owner` is the one who publishes, until an instant; ask again before it.

        One of several relays publishes, so that nothing is published once by each. It is no
        guarantee: who was paused may think it leads, and repeats are for the readers to drop.
        """
        ...

    async def changed(self, max_wait_s: float) -> None:
        """Return when something may have been committed, or after `max_wait_s`."""
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
