"""Events as Kafka messages, and back."""

from collections.abc import Callable, Sequence
from typing import TypedDict, cast
from zlib import crc32

from confluent_kafka import Message as KafkaMessage

from motet.core import cloudevents
from motet.core.arrivals import OURS, TOMBSTONE, Arrival, opened, opened_values
from motet.core.event import NULL, Broken, Event, Headers, Message, Partition, Record
from motet.core.refusals import encoded


class Outgoing(TypedDict, total=False):
    """A message as `Producer.produce_batch` takes it, and headers, which it does not."""

    value: bytes | None
    key: bytes
    partition: int
    headers: Headers


Writer = Callable[[Sequence[Event], int], list[Outgoing]]
"""Makes messages of events, for a topic of that many partitions."""


def writer(mode: str) -> Writer:
    """Return what writes events as the URL option `cloudevents` says.

    The writers raise `CodecError` where an event could not be read back.
    """
    return {"binary": _binary, "structured": _structured}.get(mode, _plain)


def _plain(events: Sequence[Event], partitions: int) -> list[Outgoing]:
    values = encoded(events)
    keys = [event.key.encode() for event in events]
    made: list[Outgoing] = [
        {"value": value, "key": key, "partition": crc32(key) % partitions}
        for value, key in zip(values, keys, strict=True)
    ]
    if all(event.type != TOMBSTONE for event in events):
        return made
    for event, message in zip(events, made, strict=True):
        if event.type == TOMBSTONE and event.data == NULL:
            message["value"] = None
            message["headers"] = _headers(event)
    return made


def _binary(events: Sequence[Event], partitions: int) -> list[Outgoing]:
    made = _plain(events, partitions)
    for event, message in zip(events, made, strict=True):
        if message["value"] is not None:
            headers, body = cloudevents.to_binary(event, binding=cloudevents.KAFKA)
            message["value"] = body
            message["headers"] = _as_bytes(headers)
    return made


def _structured(events: Sequence[Event], partitions: int) -> list[Outgoing]:
    made = _plain(events, partitions)
    content_type = ((cloudevents.KAFKA.content_type, cloudevents.STRUCTURED.encode()),)
    for event, message in zip(events, made, strict=True):
        if message["value"] is not None:
            message["value"] = cloudevents.to_structured(event)
            message["headers"] = content_type
    return made


def _headers(event: Event) -> Headers:
    return _as_bytes(cloudevents.to_binary(event, binding=cloudevents.KAFKA)[0])


def _as_bytes(headers: dict[str, str]) -> Headers:
    return tuple([(name, value.encode()) for name, value in headers.items()])


def copies(messages: Sequence[Message], partitions: int) -> list[Outgoing]:
    """Return messages as they are, for a topic of that many partitions."""
    made: list[Outgoing] = []
    for message in messages:
        to = message.partition if message.partition is not None else crc32(message.key)
        copy: Outgoing = {"value": message.value, "key": message.key, "partition": to % partitions}
        if message.headers:
            copy["headers"] = message.headers
        made.append(copy)
    return made


def read(
    partition: Partition, messages: Sequence[KafkaMessage]
) -> tuple[tuple[Record, ...], tuple[Broken, ...]]:
    """Return what messages hold. Less than 2 microseconds each where Motet wrote all of them."""
    values = [message.value() for message in messages if message.headers() is None]
    if len(values) == len(messages) and None not in values:
        offsets = [message.offset() or 0 for message in messages]
        plain = cast(list[bytes], values)
        records, broken = opened_values(partition, offsets, plain)
        if not broken and all(value.startswith(OURS) for value in plain):
            return tuple(records), ()
    # From elsewhere: the key and the time of the message say what the value does not.
    came = [opened(partition, _arrival(message)) for message in messages]
    return (
        tuple([each for each in came if isinstance(each, Record)]),
        tuple([each for each in came if isinstance(each, Broken)]),
    )


def _arrival(message: KafkaMessage) -> Arrival:
    headers = message.headers()
    kind, stamp_ms = message.timestamp()
    return Arrival(
        message.offset() or 0,
        message.value(),
        message.key() or b"",
        _headers_of(headers) if headers else (),
        stamp_ms * 1000 if kind else 0,
    )


_Pair = tuple[str, str | bytes | None]


def _headers_of(given: dict[str, str | bytes | None] | list[_Pair]) -> Headers:
    pairs = given.items() if isinstance(given, dict) else given
    return tuple(
        [
            (name, value.encode() if isinstance(value, str) else value or b"")
            for name, value in pairs
        ]
    )
