"""A consumer as small as can be: what it handled and how far it is are plain dicts."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager

from motet.core.clock import SystemClock
from motet.core.event import Event, Partition
from motet.core.ports import Lease, Transport
from motet.testing.simulation import until

CLOCK = SystemClock()
PATIENCE_S = 30.0  # how long to wait for what has to come


class Group:
    """Consumers of one group; it plays the store, and fences like one."""

    def __init__(self, transport: Transport, topics: Sequence[str], *, name: str = "g") -> None:
        self.progress: dict[Partition, int] = {}
        self.handled: list[Event] = []
        self.held: dict[str, set[Partition]] = {}
        self._transport = transport
        self._topics = topics
        self._name = name

    @property
    def ids(self) -> list[str]:
        """Ids of what was handled, in the order of handling."""
        return [event.id for event in self.handled]

    @asynccontextmanager
    async def consumer(self, name: str = "consumer") -> AsyncIterator[None]:
        """Consume in the background; leaving the block kills the consumer where it is."""
        async with background(self._run(name)):
            yield

    async def until(self, count: int) -> None:
        """Wait until at least this many events were handled."""
        await until(lambda: len(self.handled) >= count, CLOCK, timeout_s=PATIENCE_S)

    async def _run(self, name: str) -> None:
        held = self.held[name] = set()
        try:
            async with (
                self._transport.subscribe(self._topics, group=self._name) as leases,
                asyncio.TaskGroup() as tasks,
            ):
                async for lease in leases:
                    tasks.create_task(self._pump(lease, held), name=str(lease.partition))
        finally:
            del self.held[name]

    async def _pump(self, lease: Lease, held: set[Partition]) -> None:
        partition = lease.partition
        held.add(partition)
        start = self.progress.get(partition, 0)
        await lease.seek(start)
        while (batch := await lease.fetch(max_records=3, max_wait_s=PATIENCE_S)) is not None:
            if self.progress.get(partition, 0) == start:
                self.handled.extend(record.event for record in batch.records)
                self.progress[partition] = start = batch.end
                await lease.ack(batch.end)
            else:  # fenced: somebody else had the partition meanwhile
                start = self.progress[partition]
                await lease.seek(start)
        held.discard(partition)


@asynccontextmanager
async def background(work: Coroutine[object, object, object]) -> AsyncIterator[None]:
    """Run `work` beside the block, and cancel it at the end of it."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work, name="background")
        try:
            yield
        finally:
            task.cancel()


@asynccontextmanager
async def leased(transport: Transport, topic: str, *, group: str = "g") -> AsyncIterator[Lease]:
    """The lease of a topic's only partition."""
    async with transport.subscribe([topic], group=group) as leases:
        async with asyncio.timeout(PATIENCE_S):
            lease = await anext(leases)
        yield lease


async def take(lease: Lease, count: int) -> list[Event]:
    """Fetch until there are `count` events."""
    events: list[Event] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(events) < count:
            batch = await lease.fetch(max_records=count - len(events), max_wait_s=PATIENCE_S)
            assert batch is not None, "the lease was lost"
            events.extend(record.event for record in batch.records)
    return events


async def read_topic(transport: Transport, topic: str) -> list[Event]:
    """Everything in a topic, partition by partition."""
    info = next((t for t in await transport.topics() if t.name == topic), None)
    events: list[Event] = []
    for index in range(info.partitions if info else 0):
        batch = await transport.read(Partition(topic, index), offset=0, limit=100_000)
        events.extend(record.event for record in batch.records)
    return events
