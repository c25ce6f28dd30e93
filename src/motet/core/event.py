"""The facts that travel: `Event`, and the `Record` and `Batch` they are read in."""

import msgspec

ABSENT = msgspec.Raw(b"")
"""An optional JSON member that is not there: compared by identity, left out on the wire."""

NULL = msgspec.Raw(b"null")
"""The payload of an event that has none."""


class Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
    rename={
        "id": "eventId",
        "type": "eventType",
        "time": "timestamp",
        "schema_version": "version",
        "correlation_id": "correlationId",
        "causation_id": "causationId",
        "data": "payload",
    },
):
    """A fact that happened. Attributes are named as in CloudEvents 1.0, the wire as in the article.

    `data`, `metadata` and `references` stay encoded until somebody asks for them, so
    routing, retrying, dead-lettering and relaying never pay to decode a payload. They
    are views on the buffer the event was decoded from: `bytes(event.data)` copies.
    """

    id: str  # unique per topic, time-ordered (UUIDv7); the deduplication key
    type: str  # past tense, dotted: "order.created"
    time: str  # when it happened: RFC 3339, UTC; text until `clock.parse_time` is asked
    key: str = ""  # events of one key are handled in order
    source: str = ""  # who says so: "/orders/inventory"
    schema_version: int = 1  # upcasters lift old versions on read
    schema: str = ""  # URI of the payload's schema
    correlation_id: str = ""  # the conversation this belongs to
    causation_id: str = ""  # id of the event that led to this one
    data: msgspec.Raw = NULL  # the payload: one JSON value
    metadata: msgspec.Raw = ABSENT  # a JSON object: extension attributes, trace context
    references: msgspec.Raw = ABSENT  # a JSON object: where heavy data lies


Headers = tuple[tuple[str, bytes], ...]
"""Headers of a broker's message, in order; a name may be there more than once."""


class Partition(msgspec.Struct, frozen=True, order=True):
    """One ordered part of a topic: the unit of leasing and of progress."""

    topic: str
    index: int  # 0-based

    def __str__(self) -> str:
        return f"{self.topic}/{self.index}"


class Record(msgspec.Struct, frozen=True, gc=False):
    """One delivery of an event: the event and the place it was read from."""

    event: Event
    offset: int  # position in the partition
    attempt: int = 1  # 1 on first delivery
    parked: int = 0  # id of the parked row it was read from; 0 when read from the log
    failed_us: int = 0  # instant of its first failure; 0: none yet
    value: bytes = b""  # the bytes it came in; empty: they are those that `codec.encode` makes
    headers: Headers = ()  # beside the bytes, where the transport has any


class Broken(msgspec.Struct, frozen=True):
    """Bytes in the log that are no event: dead-lettered as they are, never handled."""

    offset: int  # position in the partition
    value: bytes  # the bytes as they came
    error: str  # what is wrong, and where
    key: bytes = b""
    headers: Headers = ()


class Message(msgspec.Struct, frozen=True, gc=False):
    """What a broker carries, not looked at: for copying between topics byte by byte."""

    key: bytes
    value: bytes | None  # None: a tombstone, which removes its key from a compacted topic
    headers: Headers = ()
    partition: int | None = None  # taken modulo their number; None: by the key, as events are


class Batch(msgspec.Struct, frozen=True):
    """Records of ONE partition in order: the unit of work and of commit.

    `end` is the offset after the last one read, gaps and broken ones included; it may move
    without records, over what retention took.
    An empty batch is a tick: nothing to read, but retries and timers move.
    """

    partition: Partition
    records: tuple[Record, ...] = ()
    broken: tuple[Broken, ...] = ()
    end: int = 0
