"""What arrives from a broker: bytes and headers become records, or `Broken`.

What Motet wrote is decoded at once. Anything else goes the strict way through `intake`: the
article's JSON from another program, a CloudEvent in structured or binary mode. What an event from
outside lacks is filled in so that a redelivery makes the same event: its id is derived from the
place it was read from, its key is that of the broker's message. Whatever becomes a record could be
published again as it is.
"""

from collections.abc import Mapping, Sequence

import msgspec

from motet.core import cloudevents, refusals
from motet.core.clock import format_time
from motet.core.envelope import Limits
from motet.core.errors import CodecError
from motet.core.event import NULL, Broken, Event, Headers, Partition, Record
from motet.core.ids import Derived
from motet.core.intake import Intake

TOMBSTONE = "tombstone"
"""Type of the event that a message without a value stands for: its key was removed."""

LIMITS = Limits(event_bytes=1 << 26)
"""A broker has its own limit, and what it took is not refused for its length."""

OURS = b'{"eventId":"'
"""How `codec.encode` begins."""

_decode = msgspec.json.Decoder(Event).decode
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_derived = Derived("arrival")


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A message as a broker delivered it."""

    offset: int
    value: bytes | None
    key: bytes = b""
    headers: Headers = ()
    time_us: int = 0  # when the broker took it; 0: it does not say
    attempt: int = 1


def opened(
    partition: Partition, arrival: Arrival, *, binding: cloudevents.Binding = cloudevents.KAFKA
) -> Record | Broken:
    """Return the event that a message holds. About 2 microseconds where Motet wrote it."""
    value = arrival.value
    if value is not None and not arrival.headers and value.startswith(OURS):
        try:
            event = _decode(value)
        except _UNDECODABLE:
            pass  # from elsewhere after all; what is wrong with it is said below
        else:
            if refusals.in_bounds(event, value):
                return Record(event, arrival.offset, arrival.attempt, value=value)
    try:
        event = _from_outside(partition, arrival, binding)
    except CodecError as err:
        where = f" at {err.where}" if err.where else ""
        return Broken(arrival.offset, value or b"", f"{err}{where}", arrival.key, arrival.headers)
    return Record(
        event, arrival.offset, arrival.attempt, value=value or b"", headers=arrival.headers
    )


def opened_values(
    partition: Partition, offsets: Sequence[int], values: Sequence[bytes]
) -> tuple[list[Record], list[Broken]]:
    """Return what messages hold that are a value alone: `opened` for many, at half its cost."""
    if all(value.startswith(OURS) for value in values):
        try:
            events = [_decode(value) for value in values]
        except _UNDECODABLE:
            pass  # each is looked at below
        else:
            if refusals.sound(events, [b"[%b]" % b",".join(values)]):
                given = zip(events, offsets, values, strict=True)
                return [Record(event, offset, 1, 0, 0, value) for event, offset, value in given], []
    records: list[Record] = []
    broken: list[Broken] = []
    for offset, value in zip(offsets, values, strict=True):
        found = opened(partition, Arrival(offset, value))
        if isinstance(found, Record):
            records.append(found)
        else:
            broken.append(found)
    return records, broken


def _from_outside(partition: Partition, arrival: Arrival, binding: cloudevents.Binding) -> Event:
    place = _Place(partition, arrival)
    intake = Intake(place, ids=place, limits=LIMITS)
    key, headers = _text(arrival.key, "the key"), _headers(arrival.headers)
    names = {name.lower() for name in headers}
    if f"{binding.prefix}specversion".lower() in names:
        event = intake.binary(headers, arrival.value or b"", binding=binding)
    elif arrival.value is None:
        event = Event(id=place.next(), type=TOMBSTONE, time=place.time, key=key, data=NULL)
    else:
        event = intake.event(arrival.value)
    if key and event.key in ("", event.id):
        event = msgspec.structs.replace(event, key=key)
    refusals.check((event,))
    return event


def _headers(headers: Headers) -> Mapping[str, str]:
    # Headers of other programs may hold any bytes; only those of CloudEvents have to be text.
    return {name: value.decode(errors="replace") for name, value in headers}


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as err:
        raise CodecError(f"{what} is not UTF-8: {err.reason}", where=f"byte {err.start}") from err


class _Place:
    """Clock and ids for one message: the same at every delivery."""

    def __init__(self, partition: Partition, arrival: Arrival) -> None:
        self._name = f"{partition}@{arrival.offset}"
        self._time_us = arrival.time_us
        self.time = format_time(arrival.time_us)

    def next(self) -> str:
        """Return an id derived from the place."""
        return _derived.id(self._name, self.time, 0)

    def now_us(self) -> int:
        """Return when the broker took the message: the time of an event that has none."""
        return self._time_us
