"""Failures through topics: `{topic}.retry.{n}` and `{topic}.dlq` instead of parked rows.

For processors whose later records go on without a failed one (`on_failure="topic"`). The bytes,
key and headers of a record are those it came with. A dead letter is in the store as well, where
`motet dlq` finds it.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence, Set

import msgspec

from motet.core import retries
from motet.core.errors import Unavailable
from motet.core.event import Message, Partition, Record
from motet.core.outcome import Commit, DeadLetter, ErrorInfo, Park
from motet.core.ports import (
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
from motet.runtime.failures import as_message


class FailureTopics:
    """A store that sends what failed to topics before a commit; conforms to `ports.Store`.

    At least once: a crash between the two sends again, under the same event id.
    """

    def __init__(
        self, store: Store, transport: Transport, keeper: ProgressKeeper, *, clock: Clock
    ) -> None:
        self._store = store
        self._transport = transport
        self._keeper = keeper
        self._ready: set[str] = set()  # topics known to be there
        self._clock = clock

    @property
    def outbox(self) -> Outbox:
        """The store's."""
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
        """What redrives gave back: nothing else is parked."""
        return await self._store.parked(group, partition, now_us=now_us, limit=limit)

    async def progress(self, group: str, partition: Partition) -> Progress:
        """The store's."""
        return await self._store.progress(group, partition)

    async def commit(self, commit: Commit) -> None:
        """Send what failed, then commit the rest.

        What a redrive gave back and fails again waits in the store for its next try: its id has
        been in the retry topics, and a second copy there would be passed over as a repeat.

        Raises:
            Unavailable: the broker or the store does not answer; some may be sent.
        """
        if commit.parks or commit.dead:
            for topic, messages in self._sorted(commit).items():
                await self._prepare(topic, commit.partition.topic)
                await self._keeper.send(topic, messages)
            commit = msgspec.structs.replace(commit, parks=())
        await self._store.commit(commit)

    async def _prepare(self, topic: str, source: str) -> None:
        """Make the topic, with as many partitions as the one its records come from."""
        if topic in self._ready:
            return
        partitions = {info.name: info.partitions for info in await self._transport.topics()}
        if topic not in partitions:
            if source not in partitions:
                raise Unavailable(f"topic {source!r} is not to be seen: is it being deleted?")
            await self._transport.create_topic(topic, partitions=partitions[source])
        self._ready.add(topic)

    def _sorted(self, commit: Commit) -> dict[str, list[Message]]:
        by_topic: dict[str, list[Message]] = defaultdict(list)
        topic = retries.source_topic(commit.partition.topic)
        for park in commit.parks:
            by_topic[retries.retry_topic(topic, park.record.attempt)].append(
                self._retry(commit, park)
            )
        for letter in commit.dead:
            by_topic[retries.dead_letter_topic(topic)].append(self._dead(letter))
        return by_topic

    def _retry(self, commit: Commit, park: Park) -> Message:
        record = park.record
        return retries.again(
            as_message(record),
            retries.Failed(
                group=commit.group,
                partition=commit.partition,
                offset=record.offset,
                attempts=record.attempt - 1,
                error=park.error or ErrorInfo("", ""),
                at_us=self._clock.now_us(),
            ),
            record.event,
            due_us=park.due_us,
            first_failed_us=park.first_failed_us,
        )

    def _dead(self, letter: DeadLetter) -> Message:
        message = letter.message or Message(letter.key.encode(), letter.value)
        return retries.dead(
            message,
            retries.Failed(
                group=letter.group,
                partition=Partition(letter.topic, letter.partition),
                offset=letter.offset,
                attempts=letter.attempts,
                error=letter.error,
                at_us=self._clock.now_us(),
            ),
        )
