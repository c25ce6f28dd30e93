"""What the runtime needs from a store."""

from collections.abc import Collection, Sequence, Set
from typing import Protocol

from motet.core.event import Partition, Record
from motet.core.outcome import Commit
from motet.core.ports.kept import DeadLetters, EventStore, Outbox
from motet.core.ports.state import GroupProgress, Progress, StateReader


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

    async def handled(self, group: str, topic: str, ids: Collection[str]) -> Set[str]:
        """Which of these ids the group has committed as `Commit.handled`: its inbox.

        An id is remembered for a week at least; one round trip.
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
