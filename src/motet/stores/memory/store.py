"""The in-memory store: the model of every other one, obviously right before fast.

A commit is checked in full before anything is changed, and nothing is awaited between the
check and the last change: that is its whole transaction.
"""

from collections.abc import Collection, Mapping, Sequence, Set

import msgspec

from motet.core.errors import Fenced
from motet.core.event import Partition, Record
from motet.core.outcome import Commit, Emit, Park
from motet.core.ports import GroupProgress, Progress, Versioned
from motet.drivers.memory import MemoryLog
from motet.stores.memory.tables import (
    MemoryDeadLetters,
    MemoryOutbox,
    MemoryState,
    MemoryStreams,
    ParkedRows,
)

Place = tuple[str, Partition]
"""A group in a partition."""


class _Step(msgspec.Struct, frozen=True):
    next: int = 0
    version: int = 0
    ahead: tuple[int, ...] = ()


class MemoryStore:
    """Progress, state, streams, outbox and dead letters in dicts; conforms to `ports.Store`.

    With `shared`, the log is in the same database: what a commit emits for now is appended
    to it at once, and only timers go to the outbox. Without, all of it goes to the outbox, and
    a relay publishes it, as where the log is another system.
    """

    def __init__(self, log: MemoryLog, *, shared: bool = True) -> None:
        self._log = log
        self._shared = shared
        self._steps: dict[Place, _Step] = {}
        self._parked = ParkedRows()
        self._state = MemoryState()
        self._inbox: set[tuple[str, str, str]] = set()  # group, topic, id
        self.outbox = MemoryOutbox(log.bell)
        self.streams = MemoryStreams(log.clock)
        self.dead_letters = MemoryDeadLetters(log.clock, give_back=self._give_back)

    def state(self, namespace: str) -> "MemoryReader":
        """Committed values of one consumer group."""
        return MemoryReader(self._state, namespace)

    async def progress(self, group: str, partition: Partition) -> Progress:
        """Where the group stands; all defaults if it was never there."""
        step = self._steps.get((group, partition), _Step())
        by_key = self._parked.by_key((group, partition))
        return Progress(
            next=step.next,
            version=step.version,
            ahead=step.ahead,
            parked_keys=frozenset(by_key),
            due_us=min((rows[0].park.due_us for rows in by_key.values()), default=None),
        )

    async def parked(
        self, group: str, partition: Partition, *, now_us: int, limit: int
    ) -> Sequence[Record]:
        """Per key whose head is due: the head and what waits behind it, up to one not yet due."""
        return self._parked.due((group, partition), now_us=now_us)[:limit]

    async def handled(self, group: str, topic: str, ids: Collection[str]) -> Set[str]:
        """Which of these ids the group has handled."""
        return {id for id in ids if (group, topic, id) in self._inbox}

    async def commit(self, commit: Commit) -> None:
        """Apply all of it, or nothing."""
        await self._log.clock.sleep(0)  # a worker with a backlog lets others run
        place = (commit.group, commit.partition)
        step = self._steps.get(place, _Step())
        if step.version != commit.version:
            raise Fenced(
                f"progress of {commit.group!r} in {commit.partition} is at version "
                f"{step.version}, not {commit.version}: another worker moved it"
            )
        self._state.check(commit.group, [put for o in commit.outcomes for put in o.puts])
        self.streams.check([append for o in commit.outcomes for append in o.appends])
        self._steps[place] = _Step(commit.next, step.version + 1, commit.ahead)
        self._apply(commit, place)

    async def groups(self) -> Sequence[GroupProgress]:
        """Every group's place in every partition it has touched, by group and partition."""
        return [
            GroupProgress(
                group=group,
                partition=partition,
                next=step.next,
                ahead=len(step.ahead),
                parked=self._parked.count((group, partition)),
            )
            for (group, partition), step in sorted(self._steps.items(), key=lambda item: item[0])
        ]

    def _apply(self, commit: Commit, place: Place) -> None:
        for row_id in commit.settled:
            self._parked.remove(place, row_id)
        for park in commit.retried:
            self._parked.replace(place, park)
        for park in commit.parks:
            self._parked.add(place, park)
        for letter in commit.dead:
            self.dead_letters.keep(letter)
        for outcome in commit.outcomes:
            self._state.apply(commit.group, outcome.puts)
            for append in outcome.appends:
                self.streams.extend(append.stream, append.events)
            self._send(outcome.emits)
        self._inbox.update((commit.group, commit.partition.topic, id) for id in commit.handled)
        self._log.bell.ring()  # timers may be due earlier than the relay thought

    def _send(self, emits: Sequence[Emit]) -> None:
        now_us = self._log.clock.now_us()
        for emit in emits:
            if self._shared and emit.not_before_us <= now_us:
                self._log.append(emit.topic, [emit.event])
            else:
                self.outbox.add(emit)

    def _give_back(self, group: str, partition: Partition, park: Park) -> None:
        """Park a dead letter's record again, so that who holds the partition reads it again."""
        place = (group, partition)
        step = self._steps.get(place, _Step())
        self._parked.add(place, park)
        self._steps[place] = msgspec.structs.replace(step, version=step.version + 1)
        if self._shared:
            self._log.ring(partition)


class MemoryReader:
    """Committed state of one namespace; conforms to `ports.StateReader`."""

    def __init__(self, state: MemoryState, namespace: str) -> None:
        self._state = state
        self._namespace = namespace

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Versioned]:
        """Values by key; missing keys are missing from the answer."""
        return self._state.get_many(self._namespace, keys)
