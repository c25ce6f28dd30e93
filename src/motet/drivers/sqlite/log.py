"""The log: events of one partition in blocks, prepared for appending, read by offset."""

from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

import apsw
import msgspec

from motet.core.codec import decode, decode_many, encode_many
from motet.core.errors import CodecError
from motet.core.event import Batch, Broken, Event, Partition, Record
from motet.core.refusals import fault, sound

BLOCK_EVENTS = 1000
BLOCK_BYTES = 1 << 20  # a larger event has a block of its own
EVENTS, BYTES = 0, 1  # kinds of block: a JSON array of events, or bytes that are none

_READ_BYTES = 8 << 20  # most that one read decodes, whatever its limit
_BEGIN = b'{"eventId":'  # how `encode_many` begins an event
_NESTED = 100  # most events inside one event's payload that salvaging looks for


class Topic(msgspec.Struct, frozen=True):
    """A topic as the log knows it; none of this changes while it exists."""

    id: int
    name: str
    partitions: int


class Block(msgspec.Struct, frozen=True):
    """What becomes one row of the log, or part of one."""

    part: int
    count: int
    body: bytes
    kind: int = EVENTS


class Prepared(msgspec.Struct, frozen=True):
    """Events of one topic, split by partition and encoded."""

    topic: Topic
    events: Sequence[Event]
    ids: tuple[str, ...]
    blocks: tuple[Block, ...]
    size_bytes: int


def prepare(topic: Topic, events: Sequence[Event]) -> Prepared:
    """Split events by partition, each in the order given, and encode them.

    Raises:
        CodecError: one cannot be encoded, or its id has a NUL character.
    """
    try:
        return _prepared(topic, events)
    except (CodecError, AttributeError, TypeError, UnicodeError) as err:
        raise (fault(events) or err) from err


def prepare_checked(topic: Topic, events: Sequence[Event]) -> Prepared:
    """Prepare events that nobody has looked at.

    Raises:
        CodecError: one could not be read back, or is out of bounds; `where` is the member.
    """
    prepared = prepare(topic, events)
    if not sound(events, [block.body for block in prepared.blocks]) and (error := fault(events)):
        raise error
    return prepared


def _prepared(topic: Topic, events: Sequence[Event]) -> Prepared:
    ids = tuple([event.id for event in events])
    if "\0" in "".join(ids):
        raise CodecError("an event id has a NUL character", where="$.eventId")
    parts: dict[int, list[Event]] = {}
    count = topic.partitions
    for event in events:
        part = crc32(event.key.encode()) % count
        if part in parts:
            parts[part].append(event)
        else:
            parts[part] = [event]
    blocks = tuple([block for part in parts for block in _blocks(part, parts[part])])
    return Prepared(topic, events, ids, blocks, sum([len(block.body) for block in blocks]))


def _blocks(part: int, events: Sequence[Event]) -> Iterable[Block]:
    for start in range(0, len(events), BLOCK_EVENTS):
        yield from _fitting(part, events[start : start + BLOCK_EVENTS])


def _fitting(part: int, events: Sequence[Event]) -> Iterable[Block]:
    body = encode_many(events)
    if len(body) <= BLOCK_BYTES or len(events) == 1:
        yield Block(part, len(events), body)
    else:
        middle = len(events) // 2
        yield from _fitting(part, events[:middle])
        yield from _fitting(part, events[middle:])


def joined(bodies: Sequence[bytes]) -> bytes:
    """Return JSON arrays, none of them empty, as one."""
    if len(bodies) == 1:
        return bodies[0]
    return b"[" + b",".join([body[1:-1] for body in bodies]) + b"]"


_FROM = """
SELECT first, count, kind, body FROM log
WHERE topic = ?1 AND part = ?2 AND first + count > ?3
  AND first >= coalesce(
    (SELECT max(first) FROM log WHERE topic = ?1 AND part = ?2 AND first <= ?3), 0)
ORDER BY first
"""
_START = "SELECT start FROM partitions WHERE topic = ? AND part = ?"


def read(conn: apsw.Connection, partition: Partition, *, offset: int, limit: int) -> Batch:
    """Return records from `offset` on, or from the oldest kept; `end` is never below that.

    Blocks are read whole, so there may be more than `limit`, by less than a block.
    """
    records: list[Record] = []
    broken: list[Broken] = []
    end = 0
    for run in _runs(conn, partition, offset, limit):
        first = run[0].first
        skip = max(0, offset - first)
        end = run[-1].first + run[-1].count
        if run[0].kind == BYTES:
            broken.append(Broken(first, run[0].body, "the bytes are no event"))
            continue
        events = _events(run)
        if events is None:
            for row in run:
                _salvage(row, offset, records, broken)
            continue
        records += [Record(event, at) for at, event in enumerate(events[skip:], first + skip)]
    if not end:
        start = conn.execute(_START, (partition.topic, partition.index)).get
        end = max(offset, start) if isinstance(start, int) else offset
    return Batch(partition, tuple(records), tuple(broken), end)


class _Row(msgspec.Struct, frozen=True, gc=False):
    first: int
    count: int
    kind: int
    body: bytes


def _runs(
    conn: apsw.Connection, partition: Partition, offset: int, limit: int
) -> Iterator[list[_Row]]:
    """Neighbouring blocks that can be decoded in one call."""
    run: list[_Row] = []
    size = 0
    rows = conn.execute(_FROM, (partition.topic, partition.index, offset))
    for each in rows:
        row = _Row(*each)
        if run and (row.kind == BYTES or run[-1].kind == BYTES or _gap(run[-1], row)):
            yield run
            run = []
        run.append(row)
        size += len(row.body)
        if row.first + row.count - offset >= limit or size >= _READ_BYTES:
            rows.close(force=True)
            break
    if run:
        yield run


def _gap(one: _Row, other: _Row) -> bool:
    return one.first + one.count != other.first


def _events(run: Sequence[_Row]) -> list[Event] | None:
    try:
        events = decode_many(joined([row.body for row in run]))
    except CodecError:
        return None
    return events if len(events) == sum([row.count for row in run]) else None


def _salvage(row: _Row, offset: int, records: list[Record], broken: list[Broken]) -> None:
    """Read a block one event at a time: somebody wrote to the table, or the disk forgot."""
    values = _values(row)
    if values is None:  # where one ends and the next begins is not to be known: one letter for all
        broken.append(Broken(max(row.first, offset), row.body, "the block is no list of events"))
        return
    for at, value in enumerate(values, row.first):
        if at >= offset:
            try:
                records.append(Record(decode(value), at))
            except CodecError as err:
                broken.append(Broken(at, value, str(err)))


def _values(row: _Row) -> list[bytes] | None:
    """Return the events of a block, each as bytes; None if they cannot be told apart."""
    try:
        values = [bytes(value) for value in msgspec.json.decode(row.body, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        values = _cut(row.body[1:-1], row.count)
    return values if len(values) == row.count else None


def _cut(body: bytes, count: int) -> list[bytes]:
    """Cut a damaged block where events begin, but not where they do inside a payload."""
    first, *others = body.split(b"," + _BEGIN)
    pieces = [first, *[_BEGIN + each for each in others]]
    values: list[bytes] = []
    at = 0
    while at < len(pieces):
        spare = min(len(pieces) - at - (count - len(values)), _NESTED)
        wholes = (b",".join(pieces[at : at + n]) for n in range(1, spare + 2))
        value = next(filter(_is_json, wholes), pieces[at])
        values.append(value)
        at += 1 + value.count(b"," + _BEGIN)
    return values


def _is_json(value: bytes) -> bool:
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True
