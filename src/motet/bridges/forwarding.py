"""Publish to the target first, then note progress where the group's progress is kept.

```
 FROM ─▶ Copying ─▶ TO, durable ─▶ progress: in FROM, where it keeps any, else in the store
```

At least once: a crash between the two publishes again, under the same ids. Nothing waits in an
outbox, so events are written once, and a store that others use too is not emptied into TO.
"""

from collections.abc import Collection, Sequence, Set
from itertools import groupby

import msgspec

from motet.bridges.copying import Copied
from motet.bridges.picking import Counts
from motet.bridges.targets import Target, publish
from motet.core.codec import encode
from motet.core.errors import CodecError
from motet.core.event import Partition, Record
from motet.core.outcome import Commit, DeadLetter
from motet.core.ports import (
    DeadLetters,
    EventStore,
    GroupProgress,
    Outbox,
    Progress,
    StateReader,
    Store,
)
from motet.runtime.failures import describe
from motet.telemetry import bind

log = bind(__name__)


class Forwarding:
    """A store whose commits publish to `target`; conforms to `ports.Store`.

    What the target refuses for good becomes a dead letter of the group, which can be given back
    to it with `motet dlq redrive` once the target takes it.
    """

    def __init__(self, store: Store, target: Target, counts: Counts) -> None:
        self._store = store
        self._target = target
        self._counts = counts

    @property
    def outbox(self) -> Outbox:
        """The store's; nothing of a bridge is ever in it."""
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
        """The store's."""
        return self._store.state(namespace)

    async def groups(self) -> Sequence[GroupProgress]:
        """The store's."""
        return await self._store.groups()

    async def handled(self, group: str, topic: str, ids: Collection[str]) -> Set[str]:
        """The store's."""
        return await self._store.handled(group, topic, ids)

    async def parked(
        self, group: str, partition: Partition, *, now_us: int, limit: int
    ) -> Sequence[Record]:
        """The store's: what was redriven."""
        return await self._store.parked(group, partition, now_us=now_us, limit=limit)

    async def progress(self, group: str, partition: Partition) -> Progress:
        """The store's."""
        return await self._store.progress(group, partition)

    async def commit(self, commit: Commit) -> None:
        """Publish what is emitted, then note progress.

        Raises:
            Fenced: progress is not at `commit.version`; what was published stays published.
            Unavailable: the target or the store does not answer.
        """
        copies = [
            emit
            for outcome in commit.outcomes
            for emit in outcome.emits
            if isinstance(emit, Copied)
        ]
        dead = list(commit.dead)
        for topic, group in groupby(copies, key=_topic):
            given = [(copy.record, copy.event) for copy in group]
            for record, error in await publish(self._target, topic, given, self._counts):
                dead.append(_letter(record, commit, error))
        await self._store.commit(msgspec.structs.replace(commit, outcomes=(), dead=tuple(dead)))
        self._counts.refused += len(dead)


def _topic(copy: Copied) -> str:
    return copy.topic


def _letter(record: Record, commit: Commit, error: CodecError) -> DeadLetter:
    log.warning("bridge.refused", extra={"group": commit.group, "error": str(error)})
    return DeadLetter(
        topic=commit.partition.topic,
        partition=commit.partition.index,
        offset=record.offset,
        group=commit.group,
        key=record.event.key,
        event_type=record.event.type,
        value=encode(record.event),
        error=describe(error),
        attempts=record.attempt,
        first_failed_us=record.failed_us,
    )
