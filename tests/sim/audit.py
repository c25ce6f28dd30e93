"""The database with an eye on it: every commit of every process, where it takes effect."""

from collections.abc import Collection, Sequence, Set
from contextlib import AbstractAsyncContextManager

from motet.core.errors import WrongVersion
from motet.core.event import Batch, Event, Partition, Record
from motet.core.outcome import Commit
from motet.core.ports import (
    DeadLetters,
    EventStore,
    GroupProgress,
    Guarantee,
    Outbox,
    Progress,
    StateReader,
    Store,
    Subscription,
    TopicInfo,
    Transport,
)
from motet.testing import SimClock


class Ledgers:
    """What was promised for when, and what was done too early."""

    def __init__(self, clock: SimClock) -> None:
        self.tries = 0
        self.violations: list[str] = []
        self.mended_events: set[tuple[str, str]] = set()
        self._clock = clock
        self._tries_due: dict[tuple[str, str, int], int] = {}
        self._emits_due: dict[tuple[str, str], int] = {}

    def tried(self, group: str, event: Event, attempt: int) -> None:
        """A handler was called; a retry must have been planned, and for now or before."""
        self.tries += 1
        if attempt == 1:
            return
        due_us = self._tries_due.get((group, event.id, attempt))
        if due_us is None:
            self.violations.append(f"{group}: try {attempt} of {event.id} was never planned")
        elif due_us > self._clock.latest_us:
            early_s = (due_us - self._clock.latest_us) / 1e6
            self.violations.append(f"{group}: try {attempt} of {event.id} is {early_s:g} s early")

    def check_budget(self, limit: int = 2000) -> None:
        """Stop a run in which the same is done for ever: the step budget comes too late for that.

        Raises:
            AssertionError: there were more tries than a scenario can need.
        """
        assert self.tries <= limit, f"{self.tries} tries: something is handled again and again"

    def mended(self, group: str, event: Event) -> bool:
        """Whether an operator has mended what was wrong with this event."""
        return (group, event.id) in self.mended_events

    def committed(self, commit: Commit) -> None:
        """Note what a commit plans for later."""
        for park in (*commit.parks, *commit.retried):
            name = (commit.group, park.record.event.id, park.record.attempt)
            self._tries_due[name] = park.due_us
        for outcome in commit.outcomes:
            for emit in outcome.emits:
                self._emits_due[emit.topic, emit.event.id] = emit.not_before_us

    def conflicted(self, group: str, error: WrongVersion) -> None:
        """Only "cross" shares state keys between partitions: the others have nobody to lose to."""
        if group != "cross":
            self.violations.append(f"{group}: a conflict with itself: {error}")

    def published(self, topic: str, events: Sequence[Event]) -> None:
        """Look whether a timer goes off too early."""
        for event in events:
            if self._emits_due.get((topic, event.id), 0) > self._clock.latest_us:
                self.violations.append(f"the timer {event.id} to {topic} went off early")


class AuditedStore:
    """Conforms to `ports.Store`."""

    def __init__(self, store: Store, ledgers: Ledgers) -> None:
        self._inner = store
        self._ledgers = ledgers
        self.outbox: Outbox = store.outbox
        self.dead_letters: DeadLetters = store.dead_letters
        self.streams: EventStore = store.streams

    def state(self, namespace: str) -> StateReader:
        return self._inner.state(namespace)

    async def progress(self, group: str, partition: Partition) -> Progress:
        return await self._inner.progress(group, partition)

    async def parked(
        self, group: str, partition: Partition, *, now_us: int, limit: int
    ) -> Sequence[Record]:
        return await self._inner.parked(group, partition, now_us=now_us, limit=limit)

    async def handled(self, group: str, topic: str, ids: Collection[str]) -> Set[str]:
        return await self._inner.handled(group, topic, ids)

    async def commit(self, commit: Commit) -> None:
        self._ledgers.check_budget()
        try:
            await self._inner.commit(commit)
        except WrongVersion as err:
            self._ledgers.conflicted(commit.group, err)
            raise
        self._ledgers.committed(commit)

    async def groups(self) -> Sequence[GroupProgress]:
        return await self._inner.groups()


class AuditedTransport:
    """Conforms to `ports.Transport`."""

    def __init__(self, transport: Transport, ledgers: Ledgers) -> None:
        self._inner = transport
        self._ledgers = ledgers

    @property
    def guarantees(self) -> Guarantee:
        return self._inner.guarantees

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        self._ledgers.published(topic, events)
        return await self._inner.publish(topic, events)

    def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AbstractAsyncContextManager[Subscription]:
        return self._inner.subscribe(topics, group=group)

    async def create_topic(
        self, topic: str, *, partitions: int, retention_s: float | None = None
    ) -> None:
        await self._inner.create_topic(topic, partitions=partitions, retention_s=retention_s)

    async def topics(self) -> Sequence[TopicInfo]:
        return await self._inner.topics()

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        return await self._inner.read(partition, offset=offset, limit=limit)

    async def changed(self, max_wait_s: float) -> None:
        await self._inner.changed(max_wait_s)
