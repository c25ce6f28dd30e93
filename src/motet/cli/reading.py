"""Records of a whole topic in order of time, read without joining a group."""

import heapq
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import msgspec

from motet.core.clock import parse_time
from motet.core.errors import CodecError
from motet.core.event import Batch, Broken, Event, Partition, Record
from motet.core.ports import Transport

_PAGE = 500  # records read at once from a partition

Wanted = Callable[[Event], bool]


class Entry(msgspec.Struct, frozen=True):
    """One place in the log: an event, or bytes that are none."""

    partition: Partition
    offset: int
    event: Event | None = None
    broken: Broken | None = None


class Reader:
    """Reads a topic's partitions side by side, each from a position of its own."""

    def __init__(
        self, transport: Transport, positions: Mapping[Partition, int], *, wanted: Wanted
    ) -> None:
        self._transport = transport
        self._wanted = wanted
        self.positions = dict(positions)  # next offset to be read

    async def entries(self, ends: Mapping[Partition, int] | None = None) -> AsyncIterator[Entry]:
        """Return what there is up to `ends`, or to where the log ends now, in order of time.

        Entries of one partition keep their order whatever their times say. `positions` moves on
        with what was returned.
        """
        pages: dict[Partition, deque[Entry]] = {}
        heads: list[tuple[int, Partition, int]] = []
        for partition in self.positions:
            await self._push(heads, pages, partition, ends)
        while heads:
            _, partition, _ = heapq.heappop(heads)
            entry = pages[partition].popleft()
            self.positions[partition] = entry.offset + 1
            yield entry
            await self._push(heads, pages, partition, ends)

    async def _push(
        self,
        heads: list[tuple[int, Partition, int]],
        pages: dict[Partition, deque[Entry]],
        partition: Partition,
        ends: Mapping[Partition, int] | None,
    ) -> None:
        if not pages.get(partition):
            end = ends[partition] if ends is not None else None
            pages[partition] = deque(await self._page(partition, end))
        if page := pages[partition]:
            heapq.heappush(heads, (_time_us(page[0]), partition, page[0].offset))

    async def _page(self, partition: Partition, end: int | None) -> Sequence[Entry]:
        """Read on until something wanted is found, or there is no more."""
        while end is None or self.positions[partition] < end:
            at = self.positions[partition]
            batch = await self._transport.read(partition, offset=at, limit=_PAGE)
            if batch.end <= at:
                return ()
            found = [
                entry
                for entry in entries_of(batch)
                if (end is None or entry.offset < end)
                and (entry.event is None or self._wanted(entry.event))
            ]
            if found:
                return found
            self.positions[partition] = batch.end
        return ()


async def last(
    transport: Transport,
    starts: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    *,
    count: int,
    wanted: Wanted,
) -> list[Entry]:
    """Return the latest `count` wanted entries before `ends`, in order of time."""
    found: list[Entry] = []
    for partition, end in ends.items():
        found += await _last_of(transport, partition, starts[partition], end, count, wanted)
    found.sort(key=lambda entry: (_time_us(entry), entry.partition, entry.offset))
    return found[max(0, len(found) - count) :]


async def _last_of(
    transport: Transport, partition: Partition, start: int, end: int, count: int, wanted: Wanted
) -> list[Entry]:
    """Look at ever more of a partition's end until `count` are found."""
    window = count
    while count:
        begin = max(start, end - window)
        reader = Reader(transport, {partition: begin}, wanted=wanted)
        found = deque([entry async for entry in reader.entries({partition: end})], maxlen=count)
        if len(found) == count or begin == start:
            return list(found)
        window *= 8
    return []


def entries_of(batch: Batch) -> list[Entry]:
    """Return the records of a batch and what is broken between them, by offset."""
    entries = [_entry(batch.partition, record) for record in batch.records]
    if batch.broken:
        entries += [Entry(batch.partition, each.offset, broken=each) for each in batch.broken]
        entries.sort(key=lambda entry: entry.offset)
    return entries


def _entry(partition: Partition, record: Record) -> Entry:
    return Entry(partition, record.offset, event=record.event)


def _time_us(entry: Entry) -> int:
    if entry.event is None:
        return 0
    try:
        return parse_time(entry.event.time)
    except CodecError:
        return 0
