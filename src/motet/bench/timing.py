"""A transport that notes when its work began and ended, and how old events were."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from motet.bench.load import PARTITIONS, BrokerLoad
from motet.bench.orders import Ages
from motet.core.event import Batch, Event, Message, Partition
from motet.core.ports import (
    Advance,
    Guarantee,
    Lease,
    Progress,
    ProgressKeeper,
    Subscription,
    TopicInfo,
    Transport,
)


class Broker(Transport, ProgressKeeper, Protocol):
    """A transport that keeps progress."""


class TimedTransport:
    """Counts what reaches the sink; the first fetch begins the time, the last of it ends it."""

    def __init__(self, inner: Broker, load: BrokerLoad) -> None:
        self._inner = inner
        self._sink = load.sink
        self._wanted = load.events
        self._paced = load.rate_per_s > 0
        self._leases = 0
        self.ages = Ages(load.events)
        self.leased = asyncio.Event()
        self.all_done = asyncio.Event()
        self.began_ns = 0
        self.ended_ns = 0

    @property
    def guarantees(self) -> Guarantee:
        """Those of the transport."""
        return self._inner.guarantees

    def begin(self) -> None:
        """Note the first fetch."""
        if not self.began_ns:
            self.began_ns = time.monotonic_ns()

    def _reached(self, events: Sequence[Event]) -> None:
        if self._paced:
            self.ages.note(events)
        self._wanted -= len(events)
        if self._wanted <= 0:
            self.ended_ns = time.monotonic_ns()
            self.all_done.set()

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Publish; what the relay brings to the sink counts."""
        count = await self._inner.publish(topic, events)
        if topic == self._sink:
            self._reached(events)
        return count

    async def advance(self, step: Advance) -> None:
        """Publish and note progress; what is emitted counts."""
        await self._inner.advance(step)
        self._reached([emit.event for emit in step.emits])

    @asynccontextmanager
    async def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AsyncIterator[Subscription]:
        """Subscribe, with leases that tell of the first fetch."""
        async with self._inner.subscribe(topics, group=group) as leases:
            yield self._told(leases)

    async def _told(self, leases: Subscription) -> AsyncIterator[Lease]:
        async for lease in leases:
            self._leases += 1
            if self._leases == PARTITIONS:
                self.leased.set()
            yield _TimedLease(lease, self)

    async def create_topic(
        self, topic: str, *, partitions: int, retention_s: float | None = None
    ) -> None:
        """As the transport does."""
        await self._inner.create_topic(topic, partitions=partitions, retention_s=retention_s)

    async def topics(self) -> Sequence[TopicInfo]:
        """As the transport does."""
        return await self._inner.topics()

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """As the transport does."""
        return await self._inner.read(partition, offset=offset, limit=limit)

    async def changed(self, max_wait_s: float) -> None:
        """As the transport does."""
        await self._inner.changed(max_wait_s)

    async def advanced(self, group: str, partition: Partition) -> Progress:
        """As the transport does."""
        return await self._inner.advanced(group, partition)

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """As the transport does."""
        await self._inner.send(topic, messages)


class _TimedLease:
    """A lease that tells of its first fetch."""

    def __init__(self, inner: Lease, timed: TimedTransport) -> None:
        self._inner = inner
        self._timed = timed
        self.partition = inner.partition
        self.seek = inner.seek
        self.ack = inner.ack

    async def fetch(self, *, max_records: int, max_wait_s: float) -> Batch | None:
        """Fetch; the first one begins the time."""
        self._timed.begin()
        return await self._inner.fetch(max_records=max_records, max_wait_s=max_wait_s)
