"""Membership: joining a group, holding its tokens, taking and giving back partitions.

A partition's lease is a token: a message in a queue with a single active consumer. Who has it
delivered and unacknowledged holds the partition. When that consumer goes, or the broker gives its
connection up, the token goes to the next one that waits there. Presence says who should wait for
which token, so that shares are fair; it may be out of date, and the token decides.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection

from pamqp import commands

from motet.core.balance import plan
from motet.core.errors import ConfigError, TransientError
from motet.core.event import Partition
from motet.core.ports import Clock
from motet.drivers.amqp import PLAIN, Answer, Channel, Connection, Delivery, Link
from motet.transports.rabbitmq.lease import RabbitLease
from motet.transports.rabbitmq.names import Names
from motet.transports.rabbitmq.options import Options
from motet.transports.rabbitmq.presence import Presence
from motet.transports.rabbitmq.registry import Registry

_DRAIN_S = 10.0
_SETTLE_S = 0.05  # for the answers of those who are there
_AGAIN_S = 0.25  # before joining anew, after the connection was lost
_TOKEN = b"lease"

_log = logging.getLogger(__name__)


class Session:
    """One stay in a group, over one connection: it ends with the connection."""

    def __init__(
        self,
        connection: Connection,
        tokens: Channel,
        presence: Presence,
        member: "Membership",
    ) -> None:
        self.tokens = tokens
        self.held: dict[Partition, RabbitLease] = {}
        self._connection = connection
        self._presence = presence
        self._member = member
        self._claims: dict[Partition, str] = {}  # consumer tags, of those held too
        self._given: dict[Partition, int] = {}  # delivery tags of tokens that came
        self._told: frozenset[Partition] | None = None
        self._told_s = 0.0

    async def step(self, *, now_s: float, beat_s: float) -> None:
        """Take what has come, give back what is done with, ask for what is due, tell the others."""
        for partition in [p for p in self._given if p not in self.held]:
            await self._take(partition)
        for lease in list(self.held.values()):
            if self._finished(lease, now_s):
                await self._release(lease.partition)
        await self._balance(now_s)
        held = frozenset(self.held)
        if self._presence.asked or held != self._told or now_s >= self._told_s + beat_s:
            self._presence.tell(held)
            self._told, self._told_s = held, now_s

    def lose(self) -> None:
        """The connection is gone, and the leases with it."""
        for lease in self.held.values():
            lease.lose()

    async def leave(self) -> None:
        """Give everything back."""
        self.lose()
        self._presence.leave()
        await self.tokens.close()
        for lease in self.held.values():
            await lease.close()

    async def _balance(self, now_s: float) -> None:
        readers = self._presence.readers()
        leases = self._presence.leases() | dict.fromkeys(self.held, self._presence.me)
        topics = frozenset().union(*readers.values())
        partitions = [
            partition
            for name, topic in sorted(self._member.registry.topics.items())
            if name in topics
            for partition in topic.all
        ]
        todo = plan(self._presence.me, readers=readers, partitions=partitions, leases=leases)
        for partition in todo.give:
            if not self.held[partition].revoked:
                self.held[partition].revoke(now_s)
        due = set(todo.take)
        for partition in [p for p in self._claims if p not in self.held and p not in due]:
            self._withdraw(partition)
        for partition in todo.take:
            if partition not in self._claims:
                await self._claim(partition)

    async def _claim(self, partition: Partition) -> None:
        await self._member.registry.known(partition.topic)
        queue = self._member.names.lease(self._member.group, partition)
        self.tokens.post(
            commands.Queue.Declare(
                queue=queue,
                durable=True,
                arguments={
                    "x-queue-type": "quorum",
                    "x-single-active-consumer": True,
                    "x-max-length": 1,
                },
            )
        )
        # One more token does no harm: all go to the one active consumer, and one at most is kept.
        self.tokens.send([self.tokens.route("", queue, PLAIN).pack(_TOKEN)])

        def on_token(delivery: Delivery | None) -> None:
            if delivery is not None and partition in self._claims:
                self._given[partition] = delivery.tag
            elif delivery is not None:
                self.tokens.reject(delivery.tag, requeue=True)
            else:
                self._deleted(partition)
            self._member.news.set()

        tag, answer = self.tokens.post_consume(queue, on_token, prefetch=1)
        self._claims[partition] = tag
        asyncio.get_running_loop().call_later(
            self._member.options.address.timeout_s, self._complain, queue, answer
        )

    def _complain(self, queue: str, answer: Answer) -> None:
        """RabbitMQ may have a queue that serves nobody, after it was killed on a single node."""
        if not answer.done() and self.tokens.error is None:
            look = f"if this goes on, delete the queue {queue!r}: it will be made again"
            _log.warning("rabbitmq.lease", extra={"queue": queue, "look": look})

    def _deleted(self, partition: Partition) -> None:
        """Somebody deleted the queue of a token: it is made again with the next claim."""
        self._claims.pop(partition, None)
        self._given.pop(partition, None)
        if partition in self.held:
            self.held[partition].lose()

    def _withdraw(self, partition: Partition) -> None:
        """Wait for a token no longer; one that has come goes back."""
        tag = self._claims.pop(partition, None)
        if tag is not None:
            self.tokens.post_cancel(tag)
        if partition in self._given:
            self.tokens.reject(self._given.pop(partition), requeue=True)

    async def _take(self, partition: Partition) -> None:
        channel = await self._connection.channel()
        lease = self.held[partition] = RabbitLease(
            partition,
            channel,
            self._member.names.stream(partition),
            clock=self._member.clock,
            prefetch=self._member.options.prefetch,
            drained=self._member.news.set,
        )
        self._member.hand(lease)

    async def _release(self, partition: Partition) -> None:
        lease = self.held.pop(partition)
        if lease.ended:
            self._member.registry.missing(partition.topic)
        lease.lose()
        self._withdraw(partition)
        await lease.close()

    def _finished(self, lease: RabbitLease, now_s: float) -> bool:
        # Who leaves without acknowledging what it fetched is given a while: it may still commit.
        overdue = now_s > lease.revoked_s + _DRAIN_S
        return lease.drained or lease.lost or (lease.revoked and lease.left and overdue)


class Membership:
    """One subscriber of a group: the leases it is given, as an async iterator."""

    def __init__(
        self,
        topics: Collection[str],
        *,
        group: str,
        options: Options,
        names: Names,
        clock: Clock,
        registry: Registry,
        reads: Link,
    ) -> None:
        self.group = group
        self.options = options
        self.names = names
        self.clock = clock
        self.registry = registry
        self.news = asyncio.Event()  # there is something to do
        self._topics = frozenset(topics)
        self._reads = reads
        self._beat_s = options.session_s / 4
        self._new: asyncio.Queue[RabbitLease] = asyncio.Queue()
        self._session: Session | None = None
        self.trouble = ""  # why the group is out of reach; empty when all is well

    def __aiter__(self) -> AsyncIterator[RabbitLease]:
        return self

    async def __anext__(self) -> RabbitLease:
        return await self._new.get()

    def hand(self, lease: RabbitLease) -> None:
        """Give a lease to who reads."""
        self._new.put_nowait(lease)

    def lease(self, partition: Partition) -> RabbitLease | None:
        """The lease on a partition, if it is held here."""
        lease = self._session.held.get(partition) if self._session else None
        return lease if lease is not None and lease.held else None

    async def join(self) -> None:
        """Become a member.

        Raises:
            Unavailable: the broker does not answer.
        """
        connection = await self._reads.connection()
        presence = Presence(
            await connection.channel(),
            self.names.group(self.group),
            self._topics,
            clock=self.clock,
            session_s=self.options.session_s,
            changed=self.news.set,
        )
        await presence.join()
        session = Session(connection, await connection.channel(), presence, self)
        while not presence.arrived and connection.error is None:
            await self._pause(self._beat_s)
        await self.clock.sleep(_SETTLE_S)
        self._session = session
        self.trouble = ""

    async def leave(self) -> None:
        """Give everything back."""
        self.registry.unlisten(self.news.set)
        if self._session is not None:
            try:
                await self._session.leave()
            except TransientError as err:  # the broker hands the tokens on
                _log.info("rabbitmq.leave", extra={"group": self.group, "error": str(err)})

    async def run(self) -> None:
        """Keep the membership alive and the shares fair, until cancelled."""
        self.registry.listen(self.news.set)
        while True:
            try:
                if self._session is None:
                    await self.join()
                await self._stay()
            except (TransientError, ConfigError) as err:
                self.trouble = str(err)
                _log.warning("rabbitmq.group", extra={"group": self.group, "error": str(err)})
            if self._session is not None:
                self._session.lose()
                self._session = None
            await self.clock.sleep(_AGAIN_S)

    async def _stay(self) -> None:
        session = self._session
        assert session is not None
        while session.tokens.error is None:
            await session.step(now_s=self.clock.monotonic_s(), beat_s=self._beat_s)
            await self._pause(self._beat_s / 4)
        raise session.tokens.error

    async def _pause(self, most_s: float) -> None:
        try:
            async with asyncio.timeout(most_s):
                await self.news.wait()
        except TimeoutError:
            pass
        self.news.clear()
