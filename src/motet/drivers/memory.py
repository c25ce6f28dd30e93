"""The log in memory: what the in-memory transport and store share, as a file is shared by SQLite's.

It is the model the other backends are compared with, so it is written to be obviously
right: lists and dicts, one event loop, no threads. Nothing here survives the process.
"""

import asyncio
from collections.abc import Callable, Sequence
from zlib import crc32

import msgspec

from motet.core.arrivals import Arrival, opened
from motet.core.errors import ConfigError
from motet.core.event import Batch, Broken, Event, Headers, Message, Partition, Record
from motet.core.ports import Clock, TopicInfo

DEFAULT_PARTITIONS = 8


class Bell:
    """Wakes everybody who waits, once, when it rings."""

    def __init__(self) -> None:
        # A dict, not a set: futures hash by address, and a simulation must wake in the same order.
        self._waiting: dict[asyncio.Future[None], None] = {}

    def ring(self) -> None:
        """Wake all who wait now; who comes later waits for the next ring."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, max_wait_s: float) -> None:
        """Return at the next ring, or after `max_wait_s`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        try:
            async with asyncio.timeout(max_wait_s):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(future, None)


class Entry(msgspec.Struct, frozen=True):
    """What lies at one offset: an event, or bytes that are none."""

    appended_us: int
    event: Event | None
    value: bytes = b""
    error: str = ""
    key: bytes = b""
    headers: Headers = ()


class PartitionLog:
    """Entries of one partition; `start` is the offset of the oldest kept."""

    def __init__(self) -> None:
        self.start = 0
        self.entries: list[Entry] = []
        self.bell = Bell()

    @property
    def end(self) -> int:
        """The next offset to be written."""
        return self.start + len(self.entries)

    def read(self, partition: Partition, offset: int, limit: int) -> Batch:
        """Return up to `limit` entries from `offset`, or from the oldest kept, as a batch."""
        first = max(offset, self.start)
        found = self.entries[first - self.start : first - self.start + limit]
        return Batch(
            partition,
            records=tuple(
                Record(e.event, offset=i, value=e.value, headers=e.headers)
                for i, e in enumerate(found, first)
                if e.event is not None
            ),
            broken=tuple(
                Broken(i, e.value, e.error, e.key, e.headers)
                for i, e in enumerate(found, first)
                if e.event is None
            ),
            end=first + len(found),
        )


class TopicLog:
    """A topic: its partitions, and the ids it holds."""

    def __init__(self, partitions: int, retention_s: float | None) -> None:
        self.partitions = [PartitionLog() for _ in range(partitions)]
        self.retention_s = retention_s
        self.ids: set[str] = set()

    def trim(self, now_us: int) -> None:
        """Forget what is older than the retention, ids included."""
        if self.retention_s is None:
            return
        oldest_us = now_us - int(self.retention_s * 1_000_000)
        for log in self.partitions:
            while log.entries and log.entries[0].appended_us < oldest_us:
                entry = log.entries.pop(0)
                log.start += 1
                if entry.event is not None:
                    self.ids.discard(entry.event.id)


class MemoryLog:
    """All topics. Calls are synchronous and whole: there is nothing to wait for, or to half do."""

    def __init__(
        self, clock: Clock, *, partitions: int = DEFAULT_PARTITIONS, repeats: bool = False
    ) -> None:
        self.clock = clock
        self.repeats = repeats  # an id is kept as often as it is published, as brokers do
        self.bell = Bell()  # rings at every change
        self.on_new_topic: list[Callable[[], None]] = []
        self._default_partitions = partitions
        self._topics: dict[str, TopicLog] = {}

    def create(self, topic: str, *, partitions: int, retention_s: float | None) -> None:
        """Create a topic, or change its retention.

        Raises:
            ConfigError: it exists with another number of partitions.
        """
        if partitions < 1:
            raise ConfigError(f"topic {topic!r} needs at least 1 partition, not {partitions}")
        there = self._topics.get(topic)
        if there is None:
            self._topics[topic] = TopicLog(partitions, retention_s)
            for tell in self.on_new_topic:
                tell()
        elif len(there.partitions) != partitions:
            raise ConfigError(
                f"topic {topic!r} has {len(there.partitions)} partitions, not {partitions}: "
                "keys would move; use another topic"
            )
        else:
            there.retention_s = retention_s

    def append(self, topic: str, events: Sequence[Event]) -> int:
        """Append events, without `repeats` only ids the topic does not hold; return how many."""
        log = self._topic(topic)
        now_us = self.clock.now_us()
        log.trim(now_us)
        new = 0
        for event in events:
            if event.id in log.ids and not self.repeats:
                continue
            log.ids.add(event.id)
            index = crc32(event.key.encode()) % len(log.partitions)
            log.partitions[index].entries.append(Entry(now_us, event))
            log.partitions[index].bell.ring()
            new += 1
        self.bell.ring()
        return new

    def append_broken(self, partition: Partition, value: bytes, *, error: str) -> None:
        """Append bytes that are no event, as a foreign producer or a bad disk would."""
        log = self._topic(partition.topic).partitions[partition.index]
        log.entries.append(Entry(self.clock.now_us(), None, value, error))
        self.ring(partition)

    def append_message(self, topic: str, message: Message) -> None:
        """Append a message as a broker would: what it holds is found out by reading it."""
        log = self._topic(topic)
        place = message.partition if message.partition is not None else crc32(message.key)
        partition = Partition(topic, place % len(log.partitions))
        end = log.partitions[partition.index].end
        found = opened(partition, Arrival(end, message.value, message.key, message.headers))
        if isinstance(found, Broken):
            now_us = self.clock.now_us()
            entry = Entry(now_us, None, found.value, found.error, message.key, message.headers)
            log.partitions[partition.index].entries.append(entry)
        elif found.event.id not in log.ids:
            log.ids.add(found.event.id)
            entry = Entry(self.clock.now_us(), found.event, found.value, headers=message.headers)
            log.partitions[partition.index].entries.append(entry)
        self.ring(partition)

    def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Return what lies from `offset` on; an unknown partition is empty."""
        log = self._topics.get(partition.topic)
        if log is None or partition.index >= len(log.partitions):
            return Batch(partition, end=offset)
        log.trim(self.clock.now_us())
        return log.partitions[partition.index].read(partition, offset, limit)

    def ring(self, partition: Partition) -> None:
        """Wake who reads this partition, and who waits for any change."""
        log = self._topics.get(partition.topic)
        if log is not None and partition.index < len(log.partitions):
            log.partitions[partition.index].bell.ring()
        self.bell.ring()

    async def wait(self, partition: Partition, max_wait_s: float) -> None:
        """Return when something about this partition may have changed, or after `max_wait_s`."""
        await self._topic(partition.topic).partitions[partition.index].bell.wait(max_wait_s)

    def partitions(self, topic: str) -> list[Partition]:
        """All partitions of a topic; none while it does not exist."""
        log = self._topics.get(topic)
        return [Partition(topic, i) for i in range(len(log.partitions))] if log else []

    def infos(self) -> list[TopicInfo]:
        """All topics by name."""
        return [self._info(name) for name in sorted(self._topics)]

    def _info(self, name: str) -> TopicInfo:
        log = self._topics[name]
        log.trim(self.clock.now_us())
        entries = [entry for part in log.partitions for entry in part.entries]
        return TopicInfo(
            name=name,
            partitions=len(log.partitions),
            retention_s=log.retention_s,
            events=len(entries),
            size_bytes=sum(len(e.event.data) if e.event else len(e.value) for e in entries),
            ends=tuple(part.end for part in log.partitions),
            starts=tuple(part.start for part in log.partitions),
        )

    def _topic(self, topic: str) -> TopicLog:
        if topic not in self._topics:
            self.create(topic, partitions=self._default_partitions, retention_s=None)
        return self._topics[topic]
