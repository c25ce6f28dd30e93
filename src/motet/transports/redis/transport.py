"""The Redis transport: topics as streams, groups whose members and progress the server keeps."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from motet.core.errors import Fenced, TransientError
from motet.core.event import Batch, Event, Message, Partition
from motet.core.ports import Advance, Clock, Guarantee, Progress, Subscription, TopicInfo
from motet.drivers.beside import beside
from motet.telemetry import bind
from motet.transports.redis.catalogue import Catalogue
from motet.transports.redis.claims import adopted
from motet.transports.redis.connection import Connection, pack
from motet.transports.redis.entries import read
from motet.transports.redis.keys import Keys
from motet.transports.redis.lease import RedisLease
from motet.transports.redis.membership import Membership
from motet.transports.redis.options import Options, parse
from motet.transports.redis.publishing import Publishing, progress
from motet.transports.redis.reader import Reader

_UPKEEP_S = 5.0
_POLL_S = 0.1

_log = bind(__name__)


class RedisTransport:
    """Topics on a Redis or Valkey server; conforms to `ports.Transport` and `ProgressKeeper`.

    In delivery mode `transport` a step is one script: what it emits and the progress it notes are
    appended together or not at all, so on one server each event leads to its emits exactly once.
    """

    guarantees = Guarantee.ORDERED | Guarantee.STABLE_OFFSETS | Guarantee.REPLAYABLE

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._keys = Keys(options.prefix)
        self._control = Connection(options, clock, name="motet")
        publisher = self._publisher = Connection(options, clock, name="motet-publish")
        self._catalogue = Catalogue(self._control, self._keys, options)
        self._publishing = Publishing(publisher, self._catalogue, self._keys, options)
        self._held: dict[tuple[str, Partition], RedisLease] = {}

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Append events in order and return how many there were; the server has them on return.

        One script appends all of them. `Unavailable` without a reply may mean that they were
        appended all the same.
        """
        return await self._publishing.publish(topic, events)

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Append messages as they are, in order; the server has them on return."""
        await self._publishing.send(topic, messages)

    async def advanced(self, group: str, partition: Partition) -> Progress:
        """Where the server has the group.

        Where Motet noted nothing, its consumer group there says it: another program's consumers
        may have come so far.
        """
        value = await self._publishing.noted(group, partition)
        lease = self._held.get((group, partition))
        if lease is not None:
            lease.progress = value
        if value:
            return progress(value)
        return Progress(next=await adopted(self._control, self._keys.stream(partition), group))

    async def advance(self, step: Advance) -> None:
        """Publish what the step emits and note progress: both, or neither."""
        lease = self._held.get((step.group, step.partition))
        if lease is None or lease.lost:
            raise Fenced(f"{step.group!r} does not hold {step.partition} here")
        if lease.progress is None:
            await self.advanced(step.group, step.partition)
        was, lease.progress = lease.progress or b"", None  # unknown until there is a reply
        lease.progress = await self._publishing.advance(step, member=lease.member, was=was)

    @asynccontextmanager
    async def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AsyncIterator[Subscription]:
        """Join `group`; leases follow. Leaving the block gives them back."""
        connection = Connection(self._options, self._clock, name=f"motet-read-{group}")
        reader = Reader(connection, self._control, clock=self._clock)
        membership = Membership(
            topics,
            group=group,
            session_s=self._options.session_s,
            connection=self._control,
            reader=reader,
            keys=self._keys,
            clock=self._clock,
            held=self._hold,
        )
        await membership.join()
        try:
            async with beside(
                {
                    f"{group}/membership": membership.run(),
                    f"{group}/reader": reader.run(),
                    f"{group}/interrupts": reader.interrupt(),
                }
            ):
                yield membership
        finally:
            await membership.leave()
            connection.close()

    async def create_topic(
        self, topic: str, *, partitions: int, retention_s: float | None = None
    ) -> None:
        """Create a topic, or change its retention."""
        await self._catalogue.create(topic, partitions=partitions, retention_s=retention_s)

    async def topics(self) -> Sequence[TopicInfo]:
        """All topics by name, in two round trips."""
        return await self._catalogue.infos()

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Records from `offset` on, or from the oldest kept."""
        key = self._keys.stream(partition)
        request = (b"XRANGE", key, b"1-%d" % offset, b"+", b"COUNT", limit)
        entries = await self._control.call(pack(request), list)
        if entries:
            return read(partition, entries, key=key, end=offset)
        start, _ = await self._catalogue.place(partition)
        return Batch(partition, end=max(offset, start))

    async def changed(self, max_wait_s: float) -> None:
        """Return when something may have been published, or after `max_wait_s`.

        Another program that appends by itself is noticed by readers, not here.
        """
        until_s = self._clock.monotonic_s() + max_wait_s
        was = await self._news()
        while (left_s := until_s - self._clock.monotonic_s()) > 0:
            await self._clock.sleep(min(left_s, _POLL_S))
            if await self._news() != was:
                return

    async def trim(self) -> int:
        """Let go of what is past its retention now; returns how many entries went."""
        return await self._catalogue.trim()

    async def check(self) -> None:
        """Make sure that the server answers and is of use.

        Raises:
            Unavailable: it does not answer.
            ConfigError: it is too old, part of a cluster, or does not let us in.
        """
        await self._control.ping()

    async def upkeep(self) -> None:
        """Trim now and then, until cancelled; one of all processes does it."""
        while True:
            try:
                if await self._catalogue.turn(_UPKEEP_S):
                    await self.trim()
            except TransientError as err:
                _log.info("redis.upkeep", extra={"error": str(err)})
            await self._clock.sleep(_UPKEEP_S)

    def close(self) -> None:
        """Let the sockets go."""
        self._control.close()
        self._publisher.close()

    def _hold(self, lease: RedisLease) -> None:
        self._held[lease.group, lease.partition] = lease

    async def _news(self) -> object:
        return await self._control.call(pack((b"GET", self._keys.news)), object)


@asynccontextmanager
async def open_transport(url: str, clock: Clock) -> AsyncIterator[RedisTransport]:
    """Open the transport that a `redis://` or `rediss://` URL names.

    Raises:
        ConfigError: the URL is of no use, or the server cannot be used.
        Unavailable: the server does not answer.
    """
    transport = RedisTransport(parse(url), clock)
    try:
        await transport.check()
        async with beside({"redis/upkeep": transport.upkeep()}):
            yield transport
    finally:
        transport.close()
