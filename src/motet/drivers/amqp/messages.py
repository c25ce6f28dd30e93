"""Between AMQP messages and ours: headers, keys, tombstones."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pamqp import commands

from motet.core.arrivals import Arrival, opened
from motet.core.cloudevents import AMQP, AMQP_COLON, Binding
from motet.core.event import Broken, Message, Partition, Record
from motet.drivers.amqp import wire

KEY = "x-motet-key"
"""Header with the key of a message that is no event of ours; theirs is in the event."""

TOMBSTONE = "x-motet-tombstone"
"""Header of a message without a value: AMQP has none that differs from an empty one."""

_OFFSET = "x-stream-offset"
_PERSISTENT = 2
_LONGEST_TEXT = 255
PLAIN = wire.packed(commands.Basic.Properties(delivery_mode=_PERSISTENT))
"""Properties of an event as Motet writes it: durable, and nothing else."""

# What a stream delivers of such an event: flags, a table with the offset alone, the mode.
_FLAGS_AND_TABLE = b"\x30\x00\x00\x00\x00\x19\x0fx-stream-offsetl"
_AT, _FROM, _TO, _LENGTH = 12, 35, 43, 44


def records(
    partition: Partition, deliveries: Sequence[wire.Delivery]
) -> tuple[list[Record], list[Broken]]:
    """Return what a stream delivered, opened."""
    good: list[Record] = []
    broken: list[Broken] = []
    for each in deliveries:
        found = opened(partition, arrival := _arrival(each), binding=_binding(arrival))
        if isinstance(found, Record):
            good.append(found)
        else:
            broken.append(found)
    return good, broken


def offset(delivery: wire.Delivery) -> int:
    """Return where in its stream a message is; -1: it comes from no stream."""
    head = delivery.head
    if len(head) == _LENGTH and head.startswith(_FLAGS_AND_TABLE, _AT):
        return int.from_bytes(head[_FROM:_TO], "big")
    return wire.stream_offset(head)


def _arrival(delivery: wire.Delivery) -> Arrival:
    head = delivery.head
    if len(head) == _LENGTH and head.startswith(_FLAGS_AND_TABLE, _AT):
        return Arrival(int.from_bytes(head[_FROM:_TO], "big"), delivery.body)
    message = message_of(delivery)
    stamp = delivery.properties.timestamp
    time_us = round(stamp.timestamp() * 1e6) if stamp else 0
    return Arrival(wire.stream_offset(head), message.value, message.key, message.headers, time_us)


def _binding(arrival: Arrival) -> Binding:
    if not arrival.headers:
        return AMQP
    return (
        AMQP_COLON
        if any(name.startswith(AMQP_COLON.prefix) for name, _ in arrival.headers)
        else AMQP
    )


def message_of(delivery: wire.Delivery) -> Message:
    """Return a delivered message as ours: its key from our header, its headers as bytes."""
    properties = delivery.properties
    table = dict(properties.headers or {})
    table.pop(_OFFSET, None)
    key = _bytes(table.pop(KEY, b""))
    value = None if table.pop(TOMBSTONE, None) else delivery.body
    headers = [(name, _bytes(each)) for name, each in table.items()]
    if properties.content_type:
        headers.append(("content-type", properties.content_type.encode()))
    return Message(key, value, tuple(headers))


def properties_of(message: Message) -> bytes:
    """Return the packed properties of one of our messages."""
    table: dict[str, object] = {}
    content_type = None
    for name, value in message.headers:
        if name.lower() == "content-type" and len(value) <= _LONGEST_TEXT:
            content_type = value.decode(errors="replace")
        else:
            table[name] = _text_or_bytes(value)
    if message.key:
        table[KEY] = bytearray(message.key)
    if message.value is None:
        table[TOMBSTONE] = True
    if not table and content_type is None:
        return PLAIN
    return wire.packed(
        commands.Basic.Properties(
            delivery_mode=_PERSISTENT,
            content_type=content_type,
            headers=table or None,  # type: ignore[arg-type]  # pamqp names each type of value
        )
    )


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().encode()
    if isinstance(value, bool):
        return str(value).lower().encode()
    return str(value).encode()


def _text_or_bytes(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return bytearray(value)
