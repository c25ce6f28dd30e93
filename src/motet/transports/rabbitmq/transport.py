"""The RabbitMQ transport: partitions are streams, leases are tokens, progress is a stream."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from motet.core.errors import Fenced
from motet.core.event import Batch, Event, Message, Partition
from motet.core.ports import (
    Advance,
    Clock,
    Guarantee,
    Progress,
    Subscription,
    TopicInfo,
    Transport,
)
from motet.drivers.amqp import ChannelClosed, Link, Publisher, Unroutable
from motet.drivers.beside import beside
from motet.transports.rabbitmq.encoding import Encoder, Packable, messages, packer
from motet.transports.rabbitmq.log import Log, Watch
from motet.transports.rabbitmq.membership import Membership
from motet.transports.rabbitmq.names import Names
from motet.transports.rabbitmq.options import Options, parse
from motet.transports.rabbitmq.progress import ProgressStreams
from motet.transports.rabbitmq.registry import Registry, Topic


class RabbitTransport:
    """Topics on a RabbitMQ broker; conforms to `ports.Transport` and `ports.ProgressKeeper`.

    Two connections: a broker short of memory stops reading from those that publish, and what
    reads and holds leases has to go on.
    """

    guarantees = Guarantee.ORDERED | Guarantee.STABLE_OFFSETS | Guarantee.REPLAYABLE

    def __init__(self, options: Options, clock: Clock, *, reads: Link, writes: Link) -> None:
        self._options = options
        self._clock = clock
        self._reads = reads
        self._names = Names(options.prefix)
        self._publisher = Publisher(writes)
        self.registry = Registry(options, self._names, clock, reads=reads, writes=self._publisher)
        self._encoder = Encoder(options.cloudevents)
        self._log = Log(self._names, self.registry, reads)
        self._watch = Watch(self._names, self.registry, reads)
        self._progress = ProgressStreams(self._names, reads=reads, writes=self._publisher)
        self._members: list[Membership] = []

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Append events in order and return how many there were; confirmed on return."""
        if not events:
            return 0
        known = await self.registry.known(topic)
        await self._append([(known, self._encoder.events(known, events))])
        return len(events)

    @asynccontextmanager
    async def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AsyncIterator[Subscription]:
        """Join `group`; leases follow. Leaving the block gives them back."""
        membership = Membership(
            topics,
            group=group,
            options=self._options,
            names=self._names,
            clock=self._clock,
            registry=self.registry,
            reads=self._reads,
        )
        await membership.join()
        self._members.append(membership)
        try:
            async with beside({f"{group}/membership": membership.run()}):
                yield membership
        finally:
            self._members.remove(membership)
            await membership.leave()

    async def create_topic(
        self, topic: str, *, partitions: int, retention_s: float | None = None
    ) -> None:
        """Create a topic, or change its retention."""
        await self.registry.create(topic, partitions=partitions, retention_s=retention_s)

    async def topics(self) -> Sequence[TopicInfo]:
        """All topics by name."""
        return await self._log.infos()

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Records from `offset` on, or from the oldest kept."""
        return await self._log.read(partition, offset=offset, limit=limit)

    async def changed(self, max_wait_s: float) -> None:
        """Return when something may have been published, or after `max_wait_s`."""
        await self._watch.wait(max_wait_s)

    async def advanced(self, group: str, partition: Partition) -> Progress:
        """Where the broker has the group."""
        return await self._progress.read(group, partition)

    async def advance(self, step: Advance) -> None:
        """Publish what the step emits, then note progress. Durable on return."""
        self._check(step)
        emits: dict[str, list[Event]] = {}
        for emit in step.emits:
            emits.setdefault(emit.topic, []).append(emit.event)
        if emits:
            parts = []
            for topic, events in emits.items():
                known = await self.registry.known(topic)
                parts.append((known, self._encoder.events(known, events)))
            await self._append(parts)
            self._check(step)
        await self._progress.note(step)

    async def send(self, topic: str, messages_: Sequence[Message]) -> None:
        """Append messages as they are, in order. Durable on return."""
        if messages_:
            known = await self.registry.known(topic)
            await self._append([(known, messages(known, messages_))])

    async def _append(self, parts: list[tuple[Topic, list[Packable]]]) -> None:
        try:
            await self._publisher.publish(packer(self._names, parts))
        except (ChannelClosed, Unroutable):  # if something is gone, the next try declares it again
            for topic, _ in parts:
                self.registry.missing(topic.topic)
            raise
        self._log.written.update(
            self._names.stream(Partition(topic.topic, index))
            for topic, packables in parts
            for index in {each[0] for each in packables}
        )

    def _check(self, step: Advance) -> None:
        for member in self._members:
            if member.group == step.group and member.lease(step.partition) is not None:
                return
        raise Fenced(f"{step.group!r} does not hold {step.partition} here: another worker may")


@asynccontextmanager
async def open_transport(url: str, clock: Clock) -> AsyncIterator[Transport]:
    """Connect to the broker that `url` names; leaving the block closes the connections.

    Raises:
        ConfigError: the URL is none, or the broker refuses who it names.
        Unavailable: the broker does not answer.
    """
    options = parse(url)
    reads = Link(options.address, clock, name="motet reads")
    writes = Link(options.address, clock, name="motet writes")
    try:
        transport = RabbitTransport(options, clock, reads=reads, writes=writes)
        await transport.registry.start()
        async with beside({"rabbitmq/topics": transport.registry.follow()}):
            yield transport
    finally:
        await writes.close()
        await reads.close()
