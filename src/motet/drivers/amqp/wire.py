"""The frames of the hot path, packed and read by hand; `pamqp` does every other one.

A published event is three frames (method, header, body) of which only the length and the body
differ from the one before, so the rest is made once per exchange and routing key. Packing an event
takes about 0.6 microseconds, where building and marshalling frame objects takes 20.
"""

from collections.abc import Callable
from struct import Struct

import msgspec
from pamqp import commands, header

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME = Struct(">BHI")  # type, channel, length of the payload
END = b"\xce"
DELIVER = b"\x00\x3c\x00\x3c"
ACKED = b"\x00\x3c\x00\x50"  # as a publisher confirm, and from us as an acknowledgement
RETURNED = b"\x00\x3c\x00\x32"
BEAT = FRAME.pack(HEARTBEAT, 0, 0) + END

_LENGTH = Struct(">I")
_LONG = Struct(">q")
_TAG = Struct(">QB")
_ACK = Struct(">BHI4sQB")
_STREAM_OFFSET = b"\x0fx-stream-offsetl"
_ONLY_OFFSET = b"\x00\x00\x00\x19" + _STREAM_OFFSET  # a table with nothing else in it
_BASIC = 60

Pack = Callable[[bytes], bytes]


class Route(msgspec.Struct, frozen=True):
    """Where messages go, with the frames before and between their bodies made already."""

    exchange: str
    routing_key: str
    pack: Pack


def route(
    channel: int, exchange: str, routing_key: str, properties: bytes, *, frame_max: int
) -> Route:
    """Return what packs bodies for one exchange and routing key; `properties` as `packed` has."""
    method = commands.Basic.Publish(
        exchange=exchange, routing_key=routing_key, mandatory=True
    ).marshal()
    index = commands.Basic.Publish.index
    head = b"".join(
        (
            FRAME.pack(METHOD, channel, 4 + len(method)),
            _LENGTH.pack(index),
            method,
            END,
            FRAME.pack(HEADER, channel, 12 + len(properties)),
            _LENGTH.pack(_BASIC << 16),
        )
    )
    middle = properties + END + FRAME.pack(BODY, channel, 0)[:3]
    small = Struct(f">Q{len(middle)}sI").pack
    most = frame_max - 8

    def pack(body: bytes) -> bytes:
        size = len(body)
        if 0 < size <= most:
            return b"%b%b%b\xce" % (head, small(size, middle, size), body)
        parts = [head, size.to_bytes(8, "big"), properties, END]
        for start in range(0, size, most):
            piece = body[start : start + most]
            parts += (FRAME.pack(BODY, channel, len(piece)), piece, END)
        return b"".join(parts)

    return Route(exchange, routing_key, pack)


def packed(properties: commands.Basic.Properties) -> bytes:
    """Return properties as they stand in a header frame, flags first."""
    return header.ContentHeader(properties=properties).marshal()[12:]


def unpacked(head: bytes) -> commands.Basic.Properties:
    """Return the properties in the payload of a header frame."""
    frame = header.ContentHeader()
    frame.unmarshal(head)
    return frame.properties


def ack(channel: int, tag: int, *, multiple: bool) -> bytes:
    """Return the frame that acknowledges a delivery, or all up to it."""
    return _ACK.pack(METHOD, channel, 13, ACKED, tag, multiple) + END


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message as it came. What is seldom looked at stays packed."""

    tag: int  # what it is acknowledged by, on its channel
    redelivered: bool
    place: bytes  # exchange and routing key
    head: bytes  # payload of the header frame
    body: bytes

    @property
    def exchange(self) -> str:
        """The exchange it was published to."""
        return self.place[1 : 1 + self.place[0]].decode()

    @property
    def routing_key(self) -> str:
        """The routing key it was published with."""
        start = 1 + self.place[0]
        return self.place[start + 1 : start + 1 + self.place[start]].decode()

    @property
    def properties(self) -> commands.Basic.Properties:
        """Its properties, headers included."""
        return unpacked(self.head)


class Deliver(msgspec.Struct, frozen=True, gc=False):
    """The method frame before a delivered message."""

    consumer: bytes
    tag: int
    redelivered: bool
    place: bytes


def deliver(data: bytes, start: int, stop: int) -> Deliver:
    """Read the arguments of a basic.deliver that begin at `start`."""
    at = start + 1 + data[start]
    tag, redelivered = _TAG.unpack_from(data, at)
    return Deliver(data[start + 1 : at], tag, bool(redelivered), data[at + 9 : stop])


def tag_and_bit(data: bytes, start: int) -> tuple[int, int]:
    """Read the arguments of a basic.ack."""
    found: tuple[int, int] = _TAG.unpack_from(data, start)
    return found


def stream_offset(head: bytes) -> int:
    """Return the offset that a stream gives with each delivery; -1: there is none."""
    at = head.find(_STREAM_OFFSET)
    return -1 if at < 0 else int(_LONG.unpack_from(head, at + len(_STREAM_OFFSET))[0])


def has_other_headers(head: bytes) -> bool:
    """Whether the headers of a message from a stream hold more than its offset."""
    return _ONLY_OFFSET not in head
