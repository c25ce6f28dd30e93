"""The SQLite transport: the log of one file, read by groups of any number of processes."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from motet.core.errors import ConfigError
from motet.core.event import Batch, Event, Partition
from motet.core.ports import Guarantee, Subscription, TopicInfo
from motet.drivers.sqlite import Database, beside, prepare_checked
from motet.transports.sqlite.lease import split
from motet.transports.sqlite.membership import TTL_S, Membership


class SqliteTransport:
    """Topics in a `Database`; conforms to `ports.Transport`.

    Retention is by time alone: what is older goes, whether a group has read it or not.
    """

    guarantees = (
        Guarantee.ORDERED
        | Guarantee.STABLE_OFFSETS
        | Guarantee.REPLAYABLE
        | Guarantee.DEDUPLICATED
        | Guarantee.SHARED_TX
    )

    def __init__(self, database: Database, *, ttl_s: float = TTL_S) -> None:
        self._database = database
        self._ttl_s = ttl_s

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Append events in order and return how many were new; durable on return."""
        if not events:
            return 0
        prepared = prepare_checked(await self._database.topic(topic), events)
        return await self._database.write(
            lambda tx: tx.log.add(prepared), size_bytes=prepared.size_bytes
        )

    @asynccontextmanager
    async def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AsyncIterator[Subscription]:
        """Join `group`; leases follow. Leaving the block gives them back."""
        membership = Membership(self._database, topics, group=group, ttl_s=self._ttl_s)
        await membership.join()
        try:
            async with beside({f"{group}/membership": membership.run()}):
                yield membership
        finally:
            await membership.leave()

    async def create_topic(
        self, topic: str, *, partitions: int, retention_s: float | None = None
    ) -> None:
        """Create a topic, or change its retention."""
        if partitions < 1:
            raise ConfigError(f"topic {topic!r} needs at least 1 partition, not {partitions}")
        await self._database.create_topic(topic, partitions=partitions, retention_s=retention_s)

    async def topics(self) -> Sequence[TopicInfo]:
        """All topics by name."""
        return self._database.topics()

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Records from `offset` on, or from the oldest kept."""
        return split(self._database.read(partition, offset=offset, limit=limit), limit)[0]

    async def changed(self, max_wait_s: float) -> None:
        """Return when something may have been published, or after `max_wait_s`."""
        await self._database.watch.wait(max_wait_s)
