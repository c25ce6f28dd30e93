"""Reading retry topics: a record is handled when its time has come, by the group it failed in."""

import math
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import asynccontextmanager

import msgspec

from motet.core import retries
from motet.core.event import Batch, Event, Partition, Record
from motet.core.outcome import Outcome
from motet.core.ports import (
    Clock,
    Concurrency,
    Guarantee,
    Lease,
    Processor,
    Readable,
    StateReader,
    Subscription,
    Troubled,
)


def with_retries(topics: Iterable[str], *, tries: int) -> frozenset[str]:
    """Return the topics, and where their records wait for a later try."""
    topics = frozenset(topics)
    waiting = {retries.retry_topic(topic, n) for topic in topics for n in range(2, tries + 1)}
    return topics | waiting


class Retrying:
    """A processor that reads the retry topics of its topics too; conforms to `ports.Processor`."""

    def __init__(self, processor: Processor, *, tries: int) -> None:
        self._inner = processor
        self._topics = with_retries(processor.topics, tries=tries)

    @property
    def name(self) -> str:
        """Consumer group and state namespace."""
        return self._inner.name

    @property
    def topics(self) -> frozenset[str]:
        """Those of the processor, and where their records wait."""
        return self._topics

    @property
    def concurrency(self) -> Concurrency:
        """As the processor wants it."""
        return self._inner.concurrency

    @property
    def parks(self) -> bool:
        """Never: what failed is in another topic."""
        return False

    async def process(self, batch: Batch, state: StateReader, *, now_us: int) -> Outcome:
        """Handle records as if they had been read from their own topic."""
        topic = batch.partition.topic
        if retries.retrying(topic):
            place = Partition(retries.source_topic(topic), batch.partition.index)
            batch = msgspec.structs.replace(batch, partition=place)
        return await self._inner.process(batch, state, now_us=now_us)


class DueLease:
    """A lease on a retry topic that gives nothing before its time; conforms to `ports.Lease`.

    Records of other groups are passed over: a retry topic is shared by all that read its topic.
    What is there in a retry topic without our headers is due at once, for whoever reads it.
    """

    def __init__(self, lease: Lease, group: str, *, clock: Clock) -> None:
        self._inner = lease
        self._group = group
        self._clock = clock
        self._held = Batch(lease.partition)
        self._given = 0  # the end of what was given

    @property
    def partition(self) -> Partition:
        """What is leased."""
        return self._inner.partition

    async def seek(self, offset: int) -> None:
        """Read on from `offset`."""
        self._held = Batch(self.partition, end=offset)
        self._given = offset
        await self._inner.seek(offset)

    async def fetch(self, *, max_records: int, max_wait_s: float) -> Batch | None:
        """Return what is due; an empty batch after a wait; None once the lease is lost."""
        due = self._take(max_records)
        if due is None:
            wait_s = min(self._wait_s(), max_wait_s)
            if len(self._held.records) < max_records:
                # Asked even while something waits here: this is how a lost lease is noticed.
                more = await self._inner.fetch(max_records=max_records, max_wait_s=wait_s)
                if more is None:
                    return None
                self._hold(more)
            else:
                await self._clock.sleep(wait_s)
            due = self._take(max_records)
        return due or Batch(self.partition, end=self._given)

    async def ack(self, next_offset: int) -> None:
        """Pass the hint on."""
        await self._inner.ack(next_offset)

    def _hold(self, batch: Batch) -> None:
        held = self._held
        self._held = Batch(
            self.partition,
            (*held.records, *self._ours(batch.records)),
            (*held.broken, *batch.broken),
            max(held.end, batch.end),
        )

    def _ours(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            found = retries.waiting(record.headers)
            if found is None:
                yield record
            elif found.group == self._group:
                yield msgspec.structs.replace(
                    record,
                    event=_as_it_was(record.event, found),
                    attempt=found.attempt,
                    failed_us=found.first_failed_us,
                )

    def _take(self, limit: int) -> Batch | None:
        """Cut off what is due; None: nothing is. Nothing is awaited here."""
        held, now_us = self._held, self._clock.now_us()
        count = next(
            (n for n, record in enumerate(held.records) if _due_us(record) > now_us),
            len(held.records),
        )
        count = min(count, limit)
        end = held.records[count].offset if count < len(held.records) else held.end
        if end <= self._given:
            return None
        self._given = end
        self._held = Batch(
            self.partition,
            held.records[count:],
            tuple([broken for broken in held.broken if broken.offset >= end]),
            held.end,
        )
        due = tuple([broken for broken in held.broken if broken.offset < end])
        return Batch(self.partition, held.records[:count], due, end)

    def _wait_s(self) -> float:
        if not self._held.records:
            return math.inf
        return max(0.0, (_due_us(self._held.records[0]) - self._clock.now_us()) / 1e6)


def _as_it_was(event: Event, found: retries.Waiting) -> Event:
    """Return the event that failed: what its bytes lack was filled in by the place it was read."""
    return msgspec.structs.replace(
        event, id=found.event_id or event.id, time=found.event_time or event.time
    )


def _due_us(record: Record) -> int:
    found = retries.waiting(record.headers)
    return found.not_before_us if found is not None else 0


class RetryReader:
    """Subscribes for a worker: leases on retry topics wait for what is in them to be due."""

    def __init__(self, transport: Readable, *, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock

    @property
    def guarantees(self) -> Guarantee:
        """Those of the transport."""
        return self._transport.guarantees

    @asynccontextmanager
    async def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AsyncIterator[Subscription]:
        """Join `group`; leases follow."""
        async with self._transport.subscribe(topics, group=group) as leases:
            yield _DueLeases(leases, group, clock=self._clock)


def trouble_of(leases: object) -> str:
    """Return why a subscription gives no leases at present; empty when all is well."""
    return leases.trouble if isinstance(leases, Troubled) else ""


class _DueLeases:
    """A subscription whose leases on retry topics wait; conforms to `ports.Troubled`."""

    def __init__(self, leases: Subscription, group: str, *, clock: Clock) -> None:
        self._inner = leases
        self._group = group
        self._clock = clock

    @property
    def trouble(self) -> str:
        return trouble_of(self._inner)

    def __aiter__(self) -> AsyncIterator[Lease]:
        return self

    async def __anext__(self) -> Lease:
        lease = await anext(self._inner)
        if retries.retrying(lease.partition.topic):
            return DueLease(lease, self._group, clock=self._clock)
        return lease
