"""Delivery mode `transport`: what is emitted is published, then progress is noted, by the broker.

```
 store      handle ─▶ one store transaction: progress, state, streams, outbox ─▶ relay ─▶ log
 transport  handle ─▶ log ─▶ progress in the broker
```

For handlers that keep no state. At least once: after a crash between the two the same events are
published again, under the same ids, and a reader in mode `store` drops them. Failures still go to
the store, which keeps the order of a key while it waits: they are rare, and a broker has no place
for them.
"""

import asyncio
from collections.abc import Collection, Sequence, Set
from itertools import groupby

import msgspec

from motet.core.errors import ConcurrencyError, ConfigError, Fenced, TransientError
from motet.core.event import Partition, Record
from motet.core.outcome import Commit, Emit, Outcome
from motet.core.ports import (
    Advance,
    Clock,
    DeadLetters,
    EventStore,
    GroupProgress,
    Outbox,
    Progress,
    ProgressKeeper,
    StateReader,
    Store,
    Transport,
)
from motet.telemetry import bind

log = bind(__name__)

NOTE_S = 1.0  # how far behind the store's copy of progress may be, for those who look at it

Place = tuple[str, Partition]


class _Kept:
    """What is known of a group in a partition: the store's version, and ours above it."""

    def __init__(self) -> None:
        self.version = 0  # of the store's progress
        self.shift = 0  # what is to be added, so that each of our own steps raises it by one
        self.next = 0
        self.ahead: tuple[int, ...] = ()
        self.noted = True  # the store has `next` too
        self.writing = asyncio.Lock()  # one commit of the store at a time

    @property
    def shown(self) -> int:
        return self.version + self.shift


class TransportDelivery:
    """A store whose progress is the broker's; conforms to `ports.Store`.

    The store's copy follows within `NOTE_S` while `run` runs, for `motet groups` and the metrics.
    Where the two differ, the one that is further is right.
    """

    def __init__(
        self, store: Store, transport: Transport, keeper: ProgressKeeper, *, clock: Clock
    ) -> None:
        self._store = store
        self._transport = transport
        self._keeper = keeper
        self._clock = clock
        self._kept: dict[Place, _Kept] = {}

    @property
    def outbox(self) -> Outbox:
        """The store's: timers."""
        return self._store.outbox

    @property
    def dead_letters(self) -> DeadLetters:
        """The store's."""
        return self._store.dead_letters

    @property
    def streams(self) -> EventStore:
        """The store's."""
        return self._store.streams

    def state(self, namespace: str) -> StateReader:
        """The store's, to be read only."""
        return self._store.state(namespace)

    async def groups(self) -> Sequence[GroupProgress]:
        """The store's copy."""
        return await self._store.groups()

    async def handled(self, group: str, topic: str, ids: Collection[str]) -> Set[str]:
        """None: an inbox would cost the transaction that this mode saves."""
        return frozenset()

    async def parked(
        self, group: str, partition: Partition, *, now_us: int, limit: int
    ) -> Sequence[Record]:
        """Parked records to be tried now."""
        return await self._store.parked(group, partition, now_us=now_us, limit=limit)

    async def progress(self, group: str, partition: Partition) -> Progress:
        """Where the group stands: in the broker or in the store, whichever is further."""
        stored = await self._store.progress(group, partition)
        there = await self._keeper.advanced(group, partition)
        next_offset = max(stored.next, there.next)
        done = {*stored.ahead, *there.ahead}
        ahead = tuple(sorted(offset for offset in done if offset >= next_offset))
        kept = self._kept.setdefault((group, partition), _Kept())
        kept.version, kept.next, kept.ahead = stored.version, next_offset, ahead
        kept.noted = stored.next == next_offset
        return msgspec.structs.replace(stored, next=next_offset, ahead=ahead, version=kept.shown)

    async def commit(self, commit: Commit) -> None:
        """Publish what is emitted, then note progress; with failures, those go to the store.

        Raises:
            Fenced: progress is not at `commit.version`, or the lease is lost.
            ConfigError: an outcome writes state or streams.
            Unavailable: the broker or the store does not answer.
        """
        place = (commit.group, commit.partition)
        kept = self._kept.setdefault(place, _Kept())
        if kept.shown != commit.version:
            raise Fenced(
                f"progress of {commit.group!r} in {commit.partition} is at version {kept.shown}, "
                f"not {commit.version}: a redrive moved it"
            )
        now, later = self._emits(commit)
        step = Advance(commit.group, commit.partition, commit.next, commit.ahead, now)
        if later or commit.parks or commit.retried or commit.settled or commit.dead:
            # Before progress is anywhere: what is emitted may be published twice, never not at all.
            await self._publish(now)
            async with kept.writing:
                await self._store.commit(_rest(commit, kept.version, later))
                kept.version += 1
            step = msgspec.structs.replace(step, emits=())
            await self._keeper.advance(step)
            kept.noted = True
        else:
            await self._keeper.advance(step)
            kept.shift += 1
            kept.noted = False
        kept.next, kept.ahead = commit.next, commit.ahead

    async def run(self) -> None:
        """Keep the store's copy of progress up to date, until cancelled."""
        while True:
            await self._clock.sleep(NOTE_S)
            await self.note()

    async def note(self) -> None:
        """Write progress to the store where it has moved on."""
        for (group, partition), kept in list(self._kept.items()):
            async with kept.writing:
                if not kept.noted:
                    await self._note(group, partition, kept)

    async def _note(self, group: str, partition: Partition, kept: _Kept) -> None:
        next_offset, version = kept.next, kept.version
        try:
            await self._store.commit(
                Commit(group, partition, version, next=next_offset, ahead=kept.ahead)
            )
        except ConcurrencyError:
            return  # a redrive, or another worker: who holds the lease will see it
        except TransientError as err:
            log.warning("progress.not_noted", extra={"group": group, "error": str(err)})
            return
        if kept.version == version:  # else it was read anew meanwhile
            kept.version += 1
            kept.shift -= 1
            kept.noted = kept.next == next_offset

    def _emits(self, commit: Commit) -> tuple[tuple[Emit, ...], tuple[Emit, ...]]:
        """What is due, and what waits for its time."""
        outcomes = commit.outcomes
        if any(outcome.puts or outcome.appends for outcome in outcomes):
            raise ConfigError(
                f"group {commit.group!r} writes state or streams in delivery mode transport: "
                "declare it with delivery='store'"
            )
        emits = [emit for outcome in outcomes for emit in outcome.emits]
        if not any(emit.not_before_us for emit in emits):
            return tuple(emits), ()
        now_us = self._clock.now_us()
        due = tuple(emit for emit in emits if emit.not_before_us <= now_us)
        return due, tuple(emit for emit in emits if emit.not_before_us > now_us)

    async def _publish(self, emits: Sequence[Emit]) -> None:
        for topic, group in groupby(emits, key=_topic):
            await self._transport.publish(topic, [emit.event for emit in group])


def _rest(commit: Commit, version: int, later: tuple[Emit, ...]) -> Commit:
    """The part of a commit that is the store's."""
    outcomes = (Outcome(emits=later),) if later else ()
    return msgspec.structs.replace(commit, version=version, outcomes=outcomes, handled=())


def _topic(emit: Emit) -> str:
    return emit.topic
