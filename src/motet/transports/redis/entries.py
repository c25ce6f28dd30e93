"""Events as entries of a stream, and back."""

from collections.abc import Sequence
from zlib import crc32

import msgspec

from motet.core import cloudevents
from motet.core.arrivals import Arrival, opened, opened_values
from motet.core.event import Batch, Broken, Event, Message, Partition, Record
from motet.core.refusals import encoded
from motet.transports.redis.keys import offset_of

Entry = tuple[bytes, list[bytes]]
"""As the server gives it, though in a list: id, then names and values in turn."""

DATA, KEY, HEADER = b"data", b"key", b"h:"

_json = msgspec.json.Encoder().encode


class Load(msgspec.Struct):
    """Entries on their way to the partitions of one topic."""

    topic: str
    plain: bool = True  # each entry is its data alone
    entries: dict[int, list[bytes]] = {}  # arguments by partition
    counts: dict[int, int] = {}  # entries by partition

    def add(self, index: int, arguments: list[bytes]) -> None:
        """Add one entry."""
        self.entries.setdefault(index, []).extend(arguments)
        self.counts[index] = self.counts.get(index, 0) + 1

    @property
    def partitions(self) -> list[Partition]:
        """Those that get something, in the order of `arguments`."""
        return [Partition(self.topic, index) for index in self.entries]

    def arguments(self) -> list[bytes]:
        """What the script `append` reads for each partition."""
        out: list[bytes] = []
        for index, arguments in self.entries.items():
            out.append(b"%d" % (len(arguments) if self.plain else self.counts[index]))
            out += arguments
        return out


def load(topic: str, events: Sequence[Event], *, partitions: int, mode: str) -> Load:
    """Return events as entries, each in the partition of its key.

    Raises:
        CodecError: one could not be read back, or is out of bounds.
    """
    values = encoded(events)
    loaded = Load(topic, plain=mode == "none")
    if mode == "none":
        entries = loaded.entries
        for event, value in zip(events, values, strict=True):
            index = crc32(event.key.encode()) % partitions
            if index in entries:
                entries[index].append(value)
            else:
                entries[index] = [value]
        return loaded
    fields = _binary if mode == "binary" else _structured
    for event in events:
        loaded.add(crc32(event.key.encode()) % partitions, _counted(fields(event)))
    return loaded


def load_messages(topic: str, messages: Sequence[Message], *, partitions: int) -> Load:
    """Return messages as entries that hold all of them: value, key, headers."""
    loaded = Load(topic, plain=False)
    for message in messages:
        index = message.partition
        if index is None:
            index = crc32(message.key) % partitions
        fields = [KEY, message.key]
        if message.value is not None:
            fields += (DATA, message.value)
        for name, value in message.headers:
            fields += (HEADER + name.encode(), value)
        loaded.add(index % partitions, _counted(fields))
    return loaded


def joined(loads: Sequence[Load]) -> tuple[list[Partition], list[bytes]]:
    """Return the partitions of several loads, and the arguments of `append` for all of them."""
    plain = all(each.plain for each in loads)
    partitions = [partition for each in loads for partition in each.partitions]
    arguments = [b"1" if plain else b"0"]
    for each in loads:
        arguments += each.arguments()
    return partitions, arguments


def read(partition: Partition, entries: Sequence[Entry], *, key: bytes, end: int) -> Batch:
    """Return what entries hold, in order; `end` where there are none."""
    if not entries:
        return Batch(partition, end=end)
    first, last = (offset_of(entries[at][0], key) for at in (0, -1))
    offsets: Sequence[int] = range(first, last + 1)
    if len(offsets) != len(entries):  # some were deleted
        offsets = [offset_of(entry[0], key) for entry in entries]
    values = [fields[1] for _, fields in entries if len(fields) == 2 and fields[0] == DATA]
    if len(values) == len(entries):
        records, broken = opened_values(partition, offsets, values)
    else:
        records, broken = _mixed(partition, offsets, entries)
    return Batch(partition, tuple(records), tuple(broken), end=last + 1)


def _mixed(
    partition: Partition, offsets: Sequence[int], entries: Sequence[Entry]
) -> tuple[list[Record], list[Broken]]:
    records: list[Record] = []
    broken: list[Broken] = []
    for offset, (_, fields) in zip(offsets, entries, strict=True):
        found = opened(partition, _arrival(offset, fields))
        if isinstance(found, Record):
            records.append(found)
        else:
            broken.append(found)
    return records, broken


def _arrival(offset: int, fields: list[bytes]) -> Arrival:
    """Return an entry with any fields as a message.

    Fields of other programs are headers; where there is no `data`, `key` or CloudEvent, they are
    all there is, and the value is a JSON object of them.
    """
    value: bytes | None = None
    key = b""
    headers: list[tuple[str, bytes]] = []
    pairs = list(zip(fields[::2], fields[1::2], strict=True))
    for name, each in pairs:
        if name == DATA:
            value = each
        elif name == KEY:
            key = each
        else:
            headers.append((name.removeprefix(HEADER).decode(errors="replace"), each))
    known = {name for name, _ in pairs}
    if not known & {DATA, KEY, b"ce_specversion"}:
        texts = {n.decode(errors="replace"): v.decode(errors="replace") for n, v in pairs}
        return Arrival(offset, _json(texts))
    return Arrival(offset, value, key, tuple(headers))


def _counted(fields: list[bytes]) -> list[bytes]:
    return [b"%d" % len(fields), *fields]


def _binary(event: Event) -> list[bytes]:
    headers, body = cloudevents.to_binary(event, binding=cloudevents.KAFKA)
    fields = [DATA, body]
    for name, value in headers.items():
        fields += (name.encode(), value.encode())
    return fields


def _structured(event: Event) -> list[bytes]:
    content_type = cloudevents.STRUCTURED.encode()
    return [b"content-type", content_type, DATA, cloudevents.to_structured(event)]
