"""The tables of the in-memory store, one class each."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from motet.core.errors import WrongVersion
from motet.core.event import Event, Partition, Record
from motet.core.ids import IdSource
from motet.core.outcome import Append, DeadLetter, Emit, Park, Put
from motet.core.ports import Clock, Queued, Recorded, Status, StoredDeadLetter, Versioned
from motet.drivers.memory import Bell

_OPEN = (Status.NEW, Status.REVIEWED)
_decoder = msgspec.json.Decoder(Event)


class MemoryState:
    """Values with versions.

    A deleted key keeps its count, so that one made again is never taken for the old one.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[bytes | None, int]] = {}

    def get_many(self, namespace: str, keys: Collection[str]) -> Mapping[str, Versioned]:
        """Values by key; missing and deleted keys are missing from the answer."""
        found: dict[str, Versioned] = {}
        for key in keys:
            value, version = self._rows.get((namespace, key), (None, 0))
            if value is not None:
                found[key] = Versioned(value, version)
        return found

    def check(self, namespace: str, puts: Iterable[Put]) -> None:
        """Compare versions.

        Puts of one key are a chain: the first expects what is there, each later one what the
        one before leaves as its writer had to reckon it: one more, or 0 after a delete.

        Raises:
            WrongVersion: a value is not at the version expected.
        """
        reckoned: dict[str, int] = {}
        for put in puts:
            value, version = self._rows.get((namespace, put.key), (None, 0))
            found = reckoned.get(put.key, version if value is not None else 0)
            if put.expected != found:
                raise WrongVersion(put.key, expected=put.expected, found=found)
            reckoned[put.key] = found + 1 if put.value is not None else 0

    def apply(self, namespace: str, puts: Iterable[Put]) -> None:
        """Write them, in order."""
        for put in puts:
            _, version = self._rows.get((namespace, put.key), (None, 0))
            self._rows[namespace, put.key] = (put.value, version + 1)


class MemoryStreams:
    """The events of all streams in one list; conforms to `ports.EventStore`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all: list[Recorded] = []
        self._versions: dict[str, int] = {}

    async def append(
        self, stream: str, events: Sequence[Event], *, expected: int | None = None
    ) -> int:
        """Append in order and return the stream's new version."""
        await self._clock.sleep(0)
        self.check([Append(stream, tuple(events), expected)])
        self.extend(stream, events)
        return self._versions.get(stream, 0)

    async def read(self, stream: str, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Events with versions above `after`, in order."""
        return [r for r in self._all if r.stream == stream and r.version > after][:limit]

    async def read_all(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Events of all streams with positions above `after`, in order."""
        return self._all[max(after, 0) :][:limit]

    def check(self, appends: Iterable[Append]) -> None:
        """Compare versions; later appends to a stream see what earlier ones leave.

        Raises:
            WrongVersion: a stream is not at the version expected.
        """
        versions = dict(self._versions)
        for append in appends:
            found = versions.get(append.stream, 0)
            if append.expected is not None and append.expected != found:
                raise WrongVersion(append.stream, expected=append.expected, found=found)
            versions[append.stream] = found + len(append.events)

    def extend(self, stream: str, events: Iterable[Event]) -> None:
        """Append without looking at versions."""
        for event in events:
            version = self._versions[stream] = self._versions.get(stream, 0) + 1
            self._all.append(Recorded(event, stream, version, position=len(self._all) + 1))


class MemoryOutbox:
    """Events to be published; conforms to `ports.Outbox`."""

    def __init__(self, bell: Bell) -> None:
        self._rows: dict[int, Emit] = {}
        self._last = 0
        self._bell = bell
        self._leader = ("", 0)

    async def due(self, *, now_us: int, limit: int) -> Sequence[Queued]:
        """Those to be published by now, in the order they were written."""
        rows = [Queued(i, emit) for i, emit in self._rows.items() if emit.not_before_us <= now_us]
        return rows[:limit]

    async def done(self, ids: Collection[int]) -> None:
        """Mark them published."""
        for row_id in ids:
            self._rows.pop(row_id, None)

    async def lead(self, owner: str, *, now_us: int, until_us: int) -> bool:
        """Whether `owner` is the one who publishes."""
        leader, led_until_us = self._leader
        if leader not in ("", owner) and led_until_us > now_us:
            return False
        self._leader = (owner, until_us)
        return True

    async def changed(self, max_wait_s: float) -> None:
        """Return when something was committed, or after `max_wait_s`."""
        await self._bell.wait(max_wait_s)

    async def next_due_us(self) -> int | None:
        """When the next one is due; None: the outbox is empty."""
        return min((emit.not_before_us for emit in self._rows.values()), default=None)

    def add(self, emit: Emit) -> None:
        """Write one row."""
        self._last += 1
        self._rows[self._last] = emit


class ParkedRow(msgspec.Struct, frozen=True):
    """A parked record and its row id; ids ascend, and order the rows of a key."""

    id: int
    park: Park


class ParkedRows:
    """Records of a group that wait for another try, or behind one that does."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, Partition], dict[int, Park]] = {}
        self._last = 0

    def add(self, place: tuple[str, Partition], park: Park) -> None:
        """Queue a record behind the others of its key."""
        self._last += 1
        self._rows.setdefault(place, {})[self._last] = park

    def replace(self, place: tuple[str, Partition], park: Park) -> None:
        """Change the row the record was read from; it keeps its place in the queue."""
        rows = self._rows.get(place, {})
        if park.record.parked in rows:
            rows[park.record.parked] = park

    def remove(self, place: tuple[str, Partition], row_id: int) -> None:
        """Delete a row; what waited behind it moves up."""
        self._rows.get(place, {}).pop(row_id, None)

    def count(self, place: tuple[str, Partition]) -> int:
        """Number of rows."""
        return len(self._rows.get(place, {}))

    def by_key(self, place: tuple[str, Partition]) -> dict[str, list[ParkedRow]]:
        """Rows of each key in order, the head first; keys by the age of their head."""
        keys: dict[str, list[ParkedRow]] = {}
        for row_id, park in self._rows.get(place, {}).items():
            keys.setdefault(park.record.event.key, []).append(ParkedRow(row_id, park))
        return keys

    def due(self, place: tuple[str, Partition], *, now_us: int) -> list[Record]:
        """Records to be tried now: none before its time, and none before the one ahead of it."""
        found: list[Record] = []
        for rows in self.by_key(place).values():
            for row in rows:
                if row.park.due_us > now_us:
                    break
                found.append(_record(row))
        return found


class MemoryDeadLetters:
    """Events that failed for good; conforms to `ports.DeadLetters`."""

    def __init__(self, clock: Clock, *, give_back: Callable[[str, Partition, Park], None]) -> None:
        self._clock = clock
        self._ids = IdSource(clock, entropy=b"motet.stores.memory")  # the same in every run
        self._give_back = give_back
        self._rows: list[StoredDeadLetter] = []

    def keep(self, letter: DeadLetter) -> None:
        """Write one row."""
        row = StoredDeadLetter(
            id=len(self._rows) + 1,
            dlq_id=self._ids.next(),
            letter=letter,
            status=Status.NEW,
            created_us=self._clock.now_us(),
        )
        self._rows.append(row)

    async def add(self, letters: Sequence[DeadLetter]) -> None:
        """Keep what an edge refused."""
        for letter in letters:
            self.keep(letter)

    async def list(
        self,
        *,
        status: Status | None = None,
        topic: str | None = None,
        group: str | None = None,
        code: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Sequence[StoredDeadLetter]:
        """Oldest first, ids above `after`."""
        found = [
            row
            for row in self._rows
            if row.id > after
            and status in (None, row.status)
            and topic in (None, row.letter.topic)
            and group in (None, row.letter.group)
            and code in (None, row.letter.error.code)
        ]
        return found[:limit]

    async def get(self, ids: Collection[int]) -> Sequence[StoredDeadLetter]:
        """Those that exist, oldest first."""
        return [row for row in self._rows if row.id in ids]

    async def redrive(self, ids: Collection[int], *, by: str, now_us: int) -> int:
        """Give each back to the group that failed, behind what its key has parked."""
        given = 0
        for row in await self.get(ids):
            park = _again(row.letter, now_us)
            if row.status not in _OPEN or park is None:
                continue
            partition = Partition(row.letter.topic, row.letter.partition)
            self._give_back(row.letter.group, partition, park)
            self._close(row, Status.RETRIED, by=by, notes=row.resolution_notes, now_us=now_us)
            given += 1
        return given

    async def archive(self, ids: Collection[int], *, by: str, notes: str, now_us: int) -> int:
        """Close without a new try; returns how many were open."""
        found = [row for row in await self.get(ids) if row.status in _OPEN]
        for row in found:
            self._close(row, Status.ARCHIVED, by=by, notes=notes, now_us=now_us)
        return len(found)

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """Number of letters by (status, error code)."""
        counts: dict[tuple[str, str], int] = {}
        for row in self._rows:
            name = (row.status.value, row.letter.error.code)
            counts[name] = counts.get(name, 0) + 1
        return counts

    def _close(
        self, row: StoredDeadLetter, status: Status, *, by: str, notes: str, now_us: int
    ) -> None:
        self._rows[row.id - 1] = msgspec.structs.replace(
            row, status=status, reviewed_by=by, reviewed_us=now_us, resolution_notes=notes
        )


def _record(row: ParkedRow) -> Record:
    first_us = row.park.first_failed_us or row.park.record.failed_us
    return msgspec.structs.replace(row.park.record, parked=row.id, failed_us=first_us)


def _again(letter: DeadLetter, now_us: int) -> Park | None:
    """The letter's record for a first try, due now; None where there is nothing to give back."""
    if not letter.group or letter.offset < 0:
        return None
    try:
        event = _decoder.decode(letter.value)
    except msgspec.MsgspecError:
        return None
    return Park(Record(event, letter.offset), due_us=now_us)
