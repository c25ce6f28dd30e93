"""The in-memory transport: consumer groups over a `MemoryLog`, in one event loop."""

from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from motet.core.errors import Fenced
from motet.core.event import Batch, Event, Message, Partition
from motet.core.ports import Advance, Guarantee, Progress, Subscription, TopicInfo
from motet.core.refusals import check
from motet.drivers.memory import Bell, MemoryLog

BROKER = Guarantee.ORDERED | Guarantee.STABLE_OFFSETS | Guarantee.REPLAYABLE
"""What remains over a log that keeps repeats: as a broker that is another system."""


class MemoryLease:
    """One partition for one subscriber; conforms to `ports.Lease`."""

    def __init__(self, log: MemoryLog, partition: Partition, owner: "Member") -> None:
        self.partition = partition
        self.owner = owner
        self._log = log
        self._next = 0
        self._lost = False

    async def seek(self, offset: int) -> None:
        """Read on from `offset`."""
        self._next = offset

    async def fetch(self, *, max_records: int, max_wait_s: float) -> Batch | None:
        """Return the next records, an empty batch, or None once the lease is lost."""
        await self._log.clock.sleep(0)  # a reader with a backlog lets others run
        batch = self._take(max_records)
        if batch is None or batch.end > self._next or max_wait_s <= 0:
            return self._given(batch)
        await self._log.wait(self.partition, max_wait_s)
        return self._given(self._take(max_records))

    async def ack(self, next_offset: int) -> None:
        """Do nothing: progress lives in the store, and the log keeps what was read."""

    def lose(self) -> None:
        """Take the lease away; a fetch that waits returns None."""
        self._lost = True
        self._log.ring(self.partition)

    def _take(self, max_records: int) -> Batch | None:
        if self._lost:
            return None
        return self._log.read(self.partition, offset=self._next, limit=max_records)

    def _given(self, batch: Batch | None) -> Batch | None:
        # Nothing is awaited between this and the return: a cancelled fetch took nothing.
        if batch is not None:
            self._next = batch.end
        return batch


class Member:
    """One subscriber of a group: the leases handed to it, as an async iterator."""

    def __init__(self, topics: Collection[str]) -> None:
        self.topics = frozenset(topics)
        self._handed: deque[MemoryLease] = deque()
        self._bell = Bell()

    def hand(self, lease: MemoryLease) -> None:
        """Give it a lease."""
        self._handed.append(lease)
        self._bell.ring()

    def __aiter__(self) -> AsyncIterator[MemoryLease]:
        return self

    async def __anext__(self) -> MemoryLease:
        while not self._handed:
            await self._bell.wait(3600.0)
        return self._handed.popleft()


class Group:
    """Who holds which partition of the topics a group reads."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._members: list[Member] = []
        self._leases: dict[Partition, MemoryLease] = {}

    def join(self, member: Member) -> None:
        """Add a subscriber and balance."""
        self._members.append(member)
        self.balance()

    def leave(self, member: Member) -> None:
        """Remove a subscriber and give its partitions to the others."""
        self._members.remove(member)
        for partition, lease in list(self._leases.items()):
            if lease.owner is member:
                self._leases.pop(partition).lose()
        self.balance()

    def balance(self) -> None:
        """Deal the partitions round among those who read their topic, in the order they joined."""
        topics = sorted({topic for member in self._members for topic in member.topics})
        partitions = [p for topic in topics for p in self._log.partitions(topic)]
        for gone in [p for p in self._leases if p not in partitions]:
            self._leases.pop(gone).lose()
        for rank, partition in enumerate(partitions):
            readers = [m for m in self._members if partition.topic in m.topics]
            self._give(partition, readers[rank % len(readers)])

    def held(self, partition: Partition) -> bool:
        """Whether somebody has a partition."""
        return partition in self._leases

    def expire(self, partition: Partition) -> None:
        """Take a partition from its holder, as if its heartbeats had stopped, for the next one."""
        held = self._leases.get(partition)
        if held is None:
            return
        readers = [m for m in self._members if partition.topic in m.topics]
        after = readers[(readers.index(held.owner) + 1) % len(readers)]
        self._leases.pop(partition).lose()
        self._give(partition, after)

    def _give(self, partition: Partition, member: Member) -> None:
        held = self._leases.get(partition)
        if held is not None and held.owner is member:
            return
        if held is not None:
            held.lose()
        self._leases[partition] = MemoryLease(self._log, partition, member)
        member.hand(self._leases[partition])


class MemoryTransport:
    """Topics in a `MemoryLog`; conforms to `ports.Transport`.

    Handing over is immediate: the one who loses a partition may still be working on a
    batch when the next one starts, which is what a store's fencing has to stand. Over a log
    that keeps repeats it promises what a broker does, and wants a store that is not shared.
    """

    guarantees = BROKER | Guarantee.DEDUPLICATED | Guarantee.SHARED_TX

    def __init__(self, log: MemoryLog) -> None:
        if log.repeats:
            self.guarantees = BROKER
        self._log = log
        self._groups: dict[str, Group] = {}
        self._advanced: dict[tuple[str, Partition], tuple[int, tuple[int, ...]]] = {}
        log.on_new_topic.append(self._balance)

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Append events in order and return how many were new."""
        check(events)
        await self._log.clock.sleep(0)
        return self._log.append(topic, events)

    @asynccontextmanager
    async def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AsyncIterator[Subscription]:
        """Join `group`; leases follow. Leaving the block gives them back."""
        balanced = self._groups.setdefault(group, Group(self._log))
        member = Member(topics)
        balanced.join(member)
        try:
            yield member
        finally:
            balanced.leave(member)

    async def create_topic(
        self, topic: str, *, partitions: int, retention_s: float | None = None
    ) -> None:
        """Create a topic, or change its retention."""
        self._log.create(topic, partitions=partitions, retention_s=retention_s)

    async def topics(self) -> Sequence[TopicInfo]:
        """All topics by name."""
        return self._log.infos()

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Records from `offset` on, or from the oldest kept."""
        return self._log.read(partition, offset=offset, limit=limit)

    async def changed(self, max_wait_s: float) -> None:
        """Return when something may have been published, or after `max_wait_s`."""
        await self._log.bell.wait(max_wait_s)

    async def advanced(self, group: str, partition: Partition) -> Progress:
        """Where the group was last noted to be."""
        await self._log.clock.sleep(0)
        next_offset, ahead = self._advanced.get((group, partition), (0, ()))
        return Progress(next=next_offset, ahead=ahead)

    async def advance(self, step: Advance) -> None:
        """Append what the step emits, then note progress; nothing comes between the two."""
        check([emit.event for emit in step.emits])
        await self._log.clock.sleep(0)
        place = (step.group, step.partition)
        group = self._groups.get(step.group)
        if group is not None and not group.held(step.partition):
            raise Fenced(f"nobody of {step.group!r} has {step.partition}")
        if step.next < self._advanced.get(place, (0, ()))[0]:
            raise Fenced(f"{step.group!r} is past {step.next} in {step.partition}")
        for emit in step.emits:
            self._log.append(emit.topic, [emit.event])
        self._advanced[place] = (step.next, step.ahead)

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Append messages, bytes and headers as they are."""
        await self._log.clock.sleep(0)
        for message in messages:
            self._log.append_message(topic, message)

    def expire(self, group: str, partition: Partition) -> None:
        """Take a lease away, as if its holder's heartbeats had stopped; for simulations."""
        if group in self._groups:
            self._groups[group].expire(partition)

    def _balance(self) -> None:
        for group in self._groups.values():
            group.balance()


__all__ = ["BROKER", "MemoryLease", "MemoryLog", "MemoryTransport"]
