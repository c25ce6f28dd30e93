"""A subscription: the leases of one member of a group, as an async iterator."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from confluent_kafka import KafkaError, KafkaException

from motet.core.errors import Fenced, Unavailable
from motet.core.event import Partition
from motet.core.ports import Clock
from motet.transports.kafka.committing import Wanted, answer
from motet.transports.kafka.consuming import GroupConsumer
from motet.transports.kafka.errors import cause, translated
from motet.transports.kafka.lease import Chunk, KafkaLease, Place
from motet.transports.kafka.messages import Outgoing
from motet.transports.kafka.options import Address
from motet.transports.kafka.transactions import Transactor, Work


class Membership:
    """One subscriber of a group; conforms to `consuming.Member`."""

    def __init__(
        self, address: Address, topics: Collection[str], *, group: str, clock: Clock
    ) -> None:
        prefix = address.options.prefix
        self.group = group
        self.held: dict[Partition, KafkaLease] = {}
        self._address = address
        self._clock = clock
        self._skip = len(prefix)
        self.consumer = GroupConsumer(
            address,
            [prefix + topic for topic in topics],
            group=prefix + group,
            member=self,
            clock=clock,
        )
        self._transactor: Transactor | None = None
        if address.options.transactions == "on":
            name = f"{prefix}{group}.{address.options.member or secrets.token_hex(8)}"
            self._transactor = Transactor(
                address, name=name, member=self.consumer.place_in_group, clock=clock
            )
        self._new: asyncio.Queue[KafkaLease | None] = asyncio.Queue()  # None: no more will come

    def __aiter__(self) -> AsyncIterator[KafkaLease]:
        return self

    async def __anext__(self) -> KafkaLease:
        lease = await self._new.get()
        if lease is None:
            raise Unavailable(
                f"the consumer of group {self.group!r} ended by an error, which is on standard "
                "error; the group is joined anew"
            )
        return lease

    @property
    def trouble(self) -> str:
        """Why the group is out of reach; empty when all is well."""
        return self.consumer.trouble()

    @asynccontextmanager
    async def joined(self) -> AsyncIterator["Membership"]:
        """Be a member until the block is left.

        Raises:
            ConfigError: a setting is refused.
        """
        try:
            await self.consumer.start()
        except KafkaException as err:
            raise self._said(cause(err), f"joining group {self.group!r}") from err
        if self._transactor is not None:
            self._transactor.start()
        try:
            yield self
        finally:
            self.lose(list(self.held.values()))
            if self._transactor is not None:
                await self._transactor.stop()
            await self.consumer.stop()

    async def commit(self, partition: Partition, next_offset: int, metadata: str) -> None:
        """Note progress at the broker; durable on return.

        Raises:
            Fenced: the lease is not held, or the broker says that somebody else has it.
            Unavailable: the broker does not answer.
        """
        lease = self.lease_of(partition)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[KafkaError | None] = loop.create_future()
        self.consumer.commit(lease, Wanted(next_offset, metadata, [answer(loop, future)]))
        doing = f"committing {partition} for group {self.group!r}"
        try:
            async with asyncio.timeout(self._address.options.timeout):
                error = await future
        except TimeoutError as err:
            raise Unavailable(
                f"{doing}: Kafka at {self._address.servers} did not answer in time"
            ) from err
        if error is not None:
            raise self._said(error, doing)
        lease.note(next_offset)

    @property
    def transactional(self) -> bool:
        """Whether what a step publishes and its progress are one transaction."""
        return self._transactor is not None

    async def transact(
        self,
        partition: Partition,
        next_offset: int,
        metadata: str,
        messages: Sequence[tuple[str, Sequence[Outgoing]]],
    ) -> None:
        """Publish messages, by topic, and note progress: all of it or nothing.

        Raises:
            Fenced: the lease is not held, or the broker says that somebody else has it.
            Unavailable: the broker does not answer.
        """
        assert self._transactor is not None
        lease = self.lease_of(partition)
        error = await self._transactor.commit(Work(lease.place, next_offset, metadata, messages))
        if error is not None:
            raise self._said(error, f"committing {partition} for group {self.group!r}")
        lease.note(next_offset)

    def lease_of(self, partition: Partition) -> KafkaLease:
        """Return the lease that is held.

        Raises:
            Fenced: it is not.
        """
        lease = self.held.get(partition)
        if lease is None or lease.lost:
            raise Fenced(f"group {self.group!r} has no lease on {partition} here")
        lease.keeps_progress = True
        return lease

    def _said(self, error: KafkaError, doing: str) -> Exception:
        return translated(error, doing=doing, servers=self._address.servers)

    # For the consumer.

    def lease(self, place: Place) -> KafkaLease:
        """Return a new lease, not handed out yet."""
        topic, index = place
        partition = Partition(topic[self._skip :], index)
        return KafkaLease(partition, place, self.consumer, self._clock)

    def hand(self, leases: Sequence[KafkaLease]) -> None:
        """Hand leases out, but those that were lost meanwhile."""
        for lease in leases:
            if not lease.lost:
                self.held[lease.partition] = lease
                self._new.put_nowait(lease)

    def revoke(self, leases: Sequence[KafkaLease]) -> None:
        """Let nothing more be fetched from leases."""
        for lease in leases:
            lease.revoke()

    def lose(self, leases: Sequence[KafkaLease]) -> None:
        """Take leases away."""
        for lease in leases:
            lease.lose()
            if self.held.get(lease.partition) is lease:
                del self.held[lease.partition]

    def deliver(self, chunks: Sequence[tuple[KafkaLease, Chunk]]) -> None:
        """Give what was fetched."""
        for lease, chunk in chunks:
            lease.add(chunk)

    def ring(self) -> None:
        """Let who waits look again."""
        for lease in self.held.values():
            lease.ring()

    def end(self) -> None:
        """Take all leases away, and say so to who waits for more."""
        self.lose(list(self.held.values()))
        self._new.put_nowait(None)
