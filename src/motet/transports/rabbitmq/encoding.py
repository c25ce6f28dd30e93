"""Events and messages as frames, partition by partition."""

from collections.abc import Callable, Iterable, Sequence
from zlib import crc32

from motet.core import cloudevents
from motet.core.event import Event, Message
from motet.core.refusals import check, encoded
from motet.drivers.amqp import PLAIN, Channel, Frames, properties_of
from motet.transports.rabbitmq.names import Names
from motet.transports.rabbitmq.registry import Topic

Packable = tuple[int, str, bytes, bytes]
"""Partition, event type, properties, value."""


class Encoder:
    """Turns events into what a broker carries, as the URL says."""

    def __init__(self, mode: str) -> None:
        self._encode: Callable[[Sequence[Event]], list[tuple[bytes, bytes]]] = {
            "none": _plain,
            "binary": _binary,
            "structured": _structured,
        }[mode]

    def events(self, topic: Topic, events: Sequence[Event]) -> list[Packable]:
        """Return the events for the partitions of their keys.

        Raises:
            CodecError: one of them could not be read back, or is out of bounds.
        """
        count = topic.partitions
        return [
            (crc32(event.key.encode()) % count, event.type, properties, value)
            for event, (properties, value) in zip(events, self._encode(events), strict=True)
        ]


def messages(topic: Topic, given: Sequence[Message]) -> list[Packable]:
    """Return messages as they are, for the partitions they name or their keys have."""
    return [
        (
            (crc32(each.key) if each.partition is None else each.partition) % topic.partitions,
            "",
            properties_of(each),
            each.value or b"",
        )
        for each in given
    ]


def packer(
    names: Names, parts: Iterable[tuple[Topic, list[Packable]]]
) -> Callable[[Channel], Frames]:
    """Return what packs messages for a channel.

    The messages of a partition go out together, in their order: a stream writes what comes
    together as one chunk, and reads chunk by chunk.
    """

    def pack(channel: Channel) -> Frames:
        frames: list[bytes] = []
        routes: set[tuple[str, str]] = set()
        for topic, packables in parts:
            exchange, by_type = names.exchange(topic.topic), topic.exchange == "topic"
            for index, type_, properties, value in sorted(packables, key=_partition):
                key = f"{index}.{type_}"[:250] if by_type else str(index)
                route = channel.route(exchange, key, properties)
                frames.append(route.pack(value))
                routes.add((exchange, key))
        return frames, routes

    return pack


def _partition(packable: Packable) -> int:
    return packable[0]


def _plain(events: Sequence[Event]) -> list[tuple[bytes, bytes]]:
    return [(PLAIN, value) for value in encoded(events)]


def _structured(events: Sequence[Event]) -> list[tuple[bytes, bytes]]:
    check(events)
    headers = (("content-type", cloudevents.STRUCTURED.encode()),)
    properties = properties_of(Message(b"", b"", headers))
    return [(properties, cloudevents.to_structured(event)) for event in events]


def _binary(events: Sequence[Event]) -> list[tuple[bytes, bytes]]:
    check(events)
    found: list[tuple[bytes, bytes]] = []
    for event in events:
        headers, body = cloudevents.to_binary(event, binding=cloudevents.AMQP)
        pairs = tuple((name, value.encode()) for name, value in headers.items())
        found.append((properties_of(Message(b"", body, pairs)), body))
    return found
