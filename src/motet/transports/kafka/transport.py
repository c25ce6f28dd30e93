"""The Kafka transport: what a cluster has, behind `ports.Transport`."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from motet.core.errors import ConfigError, Fenced
from motet.core.event import Batch, Event, Message, Partition
from motet.core.outcome import Emit
from motet.core.ports import Advance, Clock, Guarantee, Progress, Subscription, TopicInfo
from motet.core.topics import check_topic
from motet.transports.kafka.admin import Admin
from motet.transports.kafka.ahead import to_metadata
from motet.transports.kafka.errors import LACKING, translated
from motet.transports.kafka.membership import Membership
from motet.transports.kafka.messages import Outgoing, copies, writer
from motet.transports.kafka.options import Address, parse_url
from motet.transports.kafka.producing import Failed, Publisher
from motet.transports.kafka.reading import Reader
from motet.transports.kafka.standing import Standing

_LOOK_S = 0.25  # between two looks of `changed` at what others published


class KafkaTransport:
    """Topics and groups of a cluster; conforms to `ports.Transport` and `ports.ProgressKeeper`."""

    guarantees = Guarantee.ORDERED | Guarantee.STABLE_OFFSETS | Guarantee.REPLAYABLE

    def __init__(
        self,
        address: Address,
        *,
        admin: Admin,
        publisher: Publisher,
        reader: Reader,
        standing: Standing,
        clock: Clock,
    ) -> None:
        self.address = address
        self._admin = admin
        self._publisher = publisher
        self._reader = reader
        self._standing = standing
        self._clock = clock
        self._prefix = address.options.prefix
        self._write = writer(address.options.cloudevents)
        self._members: dict[str, list[Membership]] = {}
        self._published = asyncio.Event()
        self._seen: Mapping[tuple[str, int], int] | None = None

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Append events in order and return how many there were; durable on return."""
        if not events:
            return 0
        check_topic(topic)
        messages = self._write(events, await self._admin.partitions(topic))
        await self._send(topic, messages)
        return len(events)

    @asynccontextmanager
    async def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AsyncIterator[Subscription]:
        """Join `group`; leases follow. Leaving the block gives them back."""
        membership = Membership(self.address, topics, group=group, clock=self._clock)
        members = self._members.setdefault(group, [])
        async with membership.joined():
            members.append(membership)
            try:
                yield membership
            finally:
                members.remove(membership)

    async def create_topic(
        self,
        topic: str,
        *,
        partitions: int,
        retention_s: float | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        """Create a topic, or change its retention; `config` has any of Kafka's topic settings."""
        check_topic(topic)
        if partitions < 1:
            raise ConfigError(f"topic {topic!r} needs at least 1 partition, not {partitions}")
        await self._admin.create(
            topic, partitions=partitions, retention_s=retention_s, config=config
        )

    async def topics(self) -> Sequence[TopicInfo]:
        """All topics by name; `events` counts gaps of compaction and transactions as well."""
        return await self._admin.infos()

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Records from `offset` on, or from the oldest kept."""
        return await self._reader.read(partition, offset=offset, limit=limit)

    async def changed(self, max_wait_s: float) -> None:
        """Return when something may have been published, or after `max_wait_s`."""
        self._published.clear()
        try:
            async with asyncio.timeout(max_wait_s):
                while (ends := await self._admin.ends()) == self._seen:
                    try:
                        async with asyncio.timeout(_LOOK_S):
                            await self._published.wait()
                            return
                    except TimeoutError:
                        pass
                self._seen = ends
        except TimeoutError:
            return

    async def advanced(self, group: str, partition: Partition) -> Progress:
        """Where the broker has the group."""
        for member in self._members.get(group, ()):
            if partition in member.held:
                member.held[partition].keeps_progress = True
        return await self._standing.of(group, partition)

    async def advance(self, step: Advance) -> None:
        """Publish what the step emits, then note progress. Durable on return."""
        member = self._holder(step)
        member.lease_of(step.partition)
        written = await self._written(step.emits)
        metadata = to_metadata(step.next, step.ahead)
        if member.transactional:
            named = [(self._prefix + topic, messages) for topic, messages in written]
            await member.transact(step.partition, step.next, metadata, named)
            return
        for topic, messages in written:
            await self._send(topic, messages)
        await member.commit(step.partition, step.next, metadata)

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Append messages as they are, in order. Durable on return."""
        if messages:
            check_topic(topic)
            await self._send(topic, copies(messages, await self._admin.partitions(topic)))

    async def delete_topics(self) -> None:
        """Delete every topic under the URL's prefix: for tests."""
        await self._admin.delete()

    def _holder(self, step: Advance) -> Membership:
        for member in self._members.get(step.group, ()):
            if step.partition in member.held:
                return member
        raise Fenced(f"group {step.group!r} has no lease on {step.partition} here")

    async def _written(self, emits: Sequence[Emit]) -> list[tuple[str, list[Outgoing]]]:
        """Messages by topic, once all of them are known to be sound."""
        by_topic: dict[str, list[Event]] = {}
        for emit in emits:
            by_topic.setdefault(emit.topic, []).append(emit.event)
        return [
            (topic, self._write(events, await self._admin.partitions(topic)))
            for topic, events in by_topic.items()
        ]

    async def _send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        try:
            await self._publisher.send(self._prefix + topic, messages)
        except Failed as err:
            if err.error.code() in LACKING:
                self._admin.forget(topic)  # deleted: the next try makes it anew
            raise translated(
                err.error, doing=f"publishing to {topic!r}", servers=self.address.servers
            ) from err
        self._published.set()


@asynccontextmanager
async def open_transport(url: str, clock: Clock) -> AsyncIterator[KafkaTransport]:
    """Open the cluster that a `kafka://` or `kafkas://` URL names.

    Raises:
        ConfigError: the URL is of no use, or the cluster does not let us in.
        Unavailable: no broker answers.
    """
    address = parse_url(url)
    async with AsyncExitStack() as stack:
        admin = Admin(address, clock)
        await admin.check()
        publisher = await stack.enter_async_context(Publisher(address).at_work())
        reader = await stack.enter_async_context(Reader(address, clock).at_work())
        standing = await stack.enter_async_context(Standing(address).at_work())
        yield KafkaTransport(
            address, admin=admin, publisher=publisher, reader=reader, standing=standing, clock=clock
        )
