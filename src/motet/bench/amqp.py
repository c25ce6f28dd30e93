"""AMQP 0-9-1 on a blocking socket: what the raw limit on RabbitMQ needs of it, and no more.

Frames of the hot path (publish, deliver, acknowledge, confirm) are packed and read by hand;
`pamqp` does those of which there is one.
"""

import socket
from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from pamqp import commands, frame
from pamqp.base import Frame
from pamqp.common import FieldTable
from pamqp.header import ProtocolHeader

from motet.core.errors import MotetError

_WAIT_S = 30.0
_READ = 1 << 18
_HEAD = Struct(">BHI")
_TAG = Struct(">Q")
_ACK = Struct(">BHIIQBB")
_METHOD, _HEADER, _BODY = 1, 2, 3
_END = 0xCE
_SMALLEST = 12  # bytes of a frame with a method
_DELIVER, _ACKED = 0x003C003C, 0x003C0050
_PERSISTENT = b"\x10\x00\x02\xce"  # the only property, and the end of its frame
_SIZES = Struct(">Q4s3sI").pack

Method = TypeVar("Method", bound=Frame)

Delivery = tuple[bytes, int, bytes]
"""Consumer tag, delivery tag, body."""


class Connection:
    """A socket, logged in, with one channel."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        address = (parts.hostname or "localhost", parts.port or 5672)
        self._socket = socket.create_connection(address, _WAIT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._inbox = Inbox()
        self._published = 0  # tag of the last publish
        self.server: dict[str, object] = {}
        self._open(parts.username or "guest", parts.password or "guest", parts.path)

    def _open(self, user: str, password: str, path: str) -> None:
        self._socket.sendall(ProtocolHeader().marshal())
        start = self._method(commands.Connection.Start)
        self.server = dict(start.server_properties or {})
        login = f"\0{unquote(user)}\0{unquote(password)}"
        self._send(0, commands.Connection.StartOk({}, "PLAIN", login, "en_US"))
        tune = self._method(commands.Connection.Tune)
        self._send(0, commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0))
        vhost = unquote(path[1:]) or "/"
        self._send(0, commands.Connection.Open(vhost))
        self._method(commands.Connection.OpenOk)
        self.call(commands.Channel.Open(), commands.Channel.OpenOk)

    def call(self, method: Frame, answer: type[Frame]) -> None:
        """Send a method on the channel and wait for its answer."""
        self._send(1, method)
        self._method(answer)

    def send(self, frames: bytes) -> None:
        """Send what is packed already."""
        self._socket.sendall(frames)

    def _send(self, channel: int, method: Frame) -> None:
        self._socket.sendall(frame.marshal(method, channel))

    def _method(self, kind: type[Method]) -> Method:
        while True:
            size, _, found = (
                frame.unmarshal(bytes(self._received)) if self._whole() else (0, 0, None)
            )
            if found is None:
                self._received += self._receive()
                continue
            del self._received[:size]
            if isinstance(found, kind):
                return found
            if isinstance(found, commands.Channel.Close | commands.Connection.Close):
                raise MotetError(f"the broker refused: {found.reply_text}")

    def _whole(self) -> bool:
        if len(self._received) < _HEAD.size:
            return False
        size: int = _HEAD.unpack_from(self._received)[2]
        return len(self._received) >= _HEAD.size + size + 1

    def _receive(self) -> bytes:
        received = self._socket.recv(_READ)
        if not received:
            raise MotetError("the broker closed the connection")
        return received

    def consume(self, queue: str, arguments: FieldTable) -> None:
        """Have a queue's messages delivered, under its own name as tag."""
        self._send(1, commands.Basic.Consume(queue=queue, consumer_tag=queue, arguments=arguments))

    def deliveries(self, count: int) -> list[Delivery]:
        """Return so many deliveries in the order they came, once they have come."""
        while len(self._inbox.deliveries) < count:
            self._inbox.feed(self._receive())
        return self._inbox.take(count)

    def publish(self, frames: list[bytes]) -> int:
        """Send publishes, each as `packer` makes it; return the tag of the last."""
        first = self._published + 1
        self._published += len(frames)
        self._inbox.unconfirmed.extend(range(first, self._published + 1))
        self.send(b"".join(frames))
        return self._published

    def until_confirmed(self, tag: int) -> None:
        """Return once every publish up to `tag` is confirmed."""
        while self._inbox.unconfirmed and self._inbox.unconfirmed[0] <= tag:
            self._inbox.feed(self._receive())

    def ack(self, tag: int) -> None:
        """Acknowledge every delivery up to `tag`."""
        self.send(_ACK.pack(_METHOD, 1, 13, _ACKED, tag, 1, _END))


class Inbox:
    """Deliveries and confirms, from bytes that may end anywhere."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.unconfirmed: deque[int] = deque()  # tags of publishes, ascending
        self._early: set[int] = set()  # confirmed while one before is not
        self._rest = b""

    def take(self, count: int) -> list[Delivery]:
        """Remove and return the first deliveries."""
        found, self.deliveries = self.deliveries[:count], self.deliveries[count:]
        return found

    def feed(self, received: bytes) -> None:
        """Read the frames that are there whole; a delivery is three of them.

        Raises:
            MotetError: the broker closes the channel, or a body is in several frames.
        """
        data, at = self._rest + received, 0
        size = len(data)
        unpack, long = _HEAD.unpack_from, int.from_bytes
        found = self.deliveries
        while size - at >= _SMALLEST:
            end = at + unpack(data, at)[2] + 8
            if end > size:
                break
            method = long(data[at + 7 : at + 11], "big")
            if method == _DELIVER:
                if (whole := _content(data, end)) is None:
                    break
                tags = at + 12 + data[at + 11]
                body, end = whole
                tag = _TAG.unpack_from(data, tags)[0]
                found.append((data[at + 12 : tags], tag, data[body : end - 1]))
            elif method == _ACKED:
                self._confirm(_TAG.unpack_from(data, at + 11)[0], multiple=data[at + 19] == 1)
            else:
                _expected(data[at:end])
            at = end
        self._rest = data[at:]

    def _confirm(self, tag: int, *, multiple: bool) -> None:
        waiting, early = self.unconfirmed, self._early
        if not multiple:
            early.add(tag)
        while waiting and ((multiple and waiting[0] <= tag) or waiting[0] in early):
            early.discard(waiting.popleft())


def _expected(data: bytes) -> None:
    _, _, found = frame.unmarshal(data)
    if isinstance(found, commands.Basic.ConsumeOk):
        return
    if isinstance(found, commands.Channel.Close | commands.Connection.Close):
        raise MotetError(f"the broker refused: {found.reply_text}")
    raise MotetError(f"the broker said {type(found).__name__}, which was not expected")


def packer(queue: str) -> Callable[[bytes], bytes]:
    """Return what makes the frames of a durable publish to a queue, of a body in one frame."""
    method = frame.marshal(commands.Basic.Publish(exchange="", routing_key=queue), 1)
    head = method + _HEAD.pack(_HEADER, 1, 15) + b"\x00\x3c\x00\x00"
    body_head = _HEAD.pack(_BODY, 1, 0)[:3]

    def pack(body: bytes) -> bytes:
        size = len(body)
        return b"%b%b%b\xce" % (head, _SIZES(size, _PERSISTENT, body_head, size), body)

    return pack


def _content(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the body begins and its frame ends; None: it is not there whole.

    Raises:
        MotetError: the body is in several frames.
    """
    size = len(data)
    if size - at < _HEAD.size + 12:
        return None
    (length,) = _TAG.unpack_from(data, at + 11)
    body = at + _HEAD.unpack_from(data, at)[2] + 8
    if size - body < _HEAD.size:
        return None
    here = _HEAD.unpack_from(data, body)[2]
    if here != length:
        raise MotetError(f"a body of {length} bytes is more than one frame: give smaller events")
    end = body + here + 8
    return (body + 7, end) if end <= size else None
