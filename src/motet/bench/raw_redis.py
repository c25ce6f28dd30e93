"""The raw limit on Redis Streams: own frames on a blocking socket, and hiredis to read replies.

Read up to a batch over all partitions, append each entry as it is, see that all were appended,
then acknowledge. Entries travel with the next read, their acknowledgement with the one after: one
round trip a batch. No decoding, no handler.

Run as `python -m motet.bench.raw_redis ROLE LOAD`; `contest.py` does.
"""

import socket
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit
from zlib import crc32

import hiredis

from motet.bench.child import Result, go
from motet.bench.load import PARTITIONS, BrokerLoad
from motet.bench.orders import encoded
from motet.bench.parts import play, timed
from motet.core.errors import MotetError

_WAIT_S = 30.0
_READ = 1 << 18
FIELD = b"data"
GROUP = b"raw"


class Connection:
    """A socket and a parser."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        address = (parts.hostname or "localhost", parts.port or 6379)
        self._socket = socket.create_connection(address, _WAIT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()
        if parts.password:
            self.call(
                b"AUTH", unquote(parts.username or "default").encode(), parts.password.encode()
            )
        if parts.path.strip("/"):
            self.call(b"SELECT", parts.path.strip("/").encode())

    def send(self, frames: bytes) -> None:
        """Send what is packed already."""
        self._socket.sendall(frames)

    def reply(self) -> object:
        """Return the next reply.

        Raises:
            MotetError: it is an error, or the server is gone.
        """
        while (found := self._reader.gets()) is False:
            received = self._socket.recv(_READ)
            if not received:
                raise MotetError("the server closed the connection")
            self._reader.feed(received)
        if isinstance(found, Exception):
            raise MotetError(str(found))
        reply: object = found
        return reply

    def replies(self, count: int) -> None:
        """Read so many replies; what they say does not matter unless it is an error."""
        for _ in range(count):
            self.reply()

    def call(self, *words: bytes) -> object:
        """Send one command and return its reply."""
        self.send(pack(words))
        return self.reply()


def pack(words: Iterable[bytes]) -> bytes:
    """Return a command as a frame."""
    listed = list(words)
    body = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in listed)
    return b"*%d\r\n%b" % (len(listed), body)


def appender(stream: bytes, field: bytes) -> bytes:
    """Return the frame of an XADD as far as its value."""
    return b"*5\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n$1\r\n*\r\n$%d\r\n%b\r\n" % (
        len(stream),
        stream,
        len(field),
        field,
    )


def streams(topic: str) -> list[bytes]:
    """Return the names of a topic's partitions."""
    return [f"{topic}-{index}".encode() for index in range(PARTITIONS)]


def publishing(load: BrokerLoad) -> tuple[Result, float]:
    """Create the groups; at the word append all events.

    What mode names is the field that a value stands in.
    """
    connection = Connection(load.url)
    names = streams(load.source)
    for name in names:
        connection.call(b"XGROUP", b"CREATE", name, GROUP, b"0", b"MKSTREAM")
    heads = [appender(name, load.mode.encode() or FIELD) for name in names]
    pairs = [(heads[crc32(key) % PARTITIONS], value) for key, value in encoded(load)]

    def work() -> None:
        for start in range(0, len(pairs), load.batch):
            batch = pairs[start : start + load.batch]
            connection.send(b"".join([b"%b$%d\r\n%b\r\n" % (h, len(v), v) for h, v in batch]))
            connection.replies(len(batch))

    return timed(work)


def working(load: BrokerLoad) -> tuple[Result, float]:
    """Read, append, acknowledge, batch by batch."""
    connection = Connection(load.url)
    names = streams(load.source)
    heads = dict(zip(names, (appender(name, FIELD) for name in streams(load.sink)), strict=True))
    count = b"%d" % (load.batch // PARTITIONS)  # of each stream
    read = pack(  # it need not wait: all has been published
        [b"XREADGROUP", b"GROUP", GROUP, b"raw", b"COUNT", count, b"STREAMS"]
        + names
        + [b">"] * PARTITIONS
    )

    def work() -> None:
        left, owed = load.events, 0
        acknowledged: list[bytes] = []
        out: list[bytes] = []  # entries to append, then what acknowledges those before them
        while left > 0:
            connection.send(b"".join((*out, read)))
            connection.replies(owed)
            found = connection.reply()
            if not isinstance(found, list):
                raise MotetError(f"{left} events did not come")
            acks = acknowledged
            out, acknowledged, count = _answered(found, heads)
            left -= count
            owed = count + len(acks)
            out += acks
        connection.send(b"".join(out))
        connection.replies(owed)
        connection.send(b"".join(acknowledged))
        connection.replies(len(acknowledged))

    return timed(work)


def _answered(
    found: list[tuple[bytes, list[tuple[bytes, list[bytes]]]]], heads: dict[bytes, bytes]
) -> tuple[list[bytes], list[bytes], int]:
    """Return what appends each entry to the sink, what acknowledges them, and their number."""
    out, acks, count = [], [], 0
    for stream, entries in found:
        head = heads[stream]
        out += [b"%b$%d\r\n%b\r\n" % (head, len(value), value) for _, (_, value) in entries]
        acks.append(pack([b"XACK", stream, GROUP, *(id for id, _ in entries)]))
        count += len(entries)
    return out, acks, count


def cleaning(load: BrokerLoad) -> tuple[Result, float]:
    """Delete every key that the load's name is in."""
    before_s = go()
    connection = Connection(load.url)
    cursor = b"0"
    while True:
        found = connection.call(
            b"SCAN", cursor, b"MATCH", f"*{load.name}*".encode(), b"COUNT", b"1000"
        )
        assert isinstance(found, list)
        cursor, keys = found
        if keys:
            connection.call(b"UNLINK", *keys)
        if cursor == b"0":
            return Result(), before_s


def describing(load: BrokerLoad) -> tuple[Result, float]:
    """Say what the server is, and how durable its acknowledgements are."""
    before_s = go()
    connection = Connection(load.url)
    info = connection.call(b"INFO", b"server")
    assert isinstance(info, bytes)
    lines = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    kind = "valkey" if "valkey_version" in lines else "redis"
    settings = connection.call(b"CONFIG", b"GET", b"append*")
    assert isinstance(settings, list)
    config = dict(zip(settings[::2], settings[1::2], strict=True))
    kept = config.get(b"appendonly", b"no") == b"yes"
    synced = config.get(b"appendfsync", b"").decode() if kept else "no"
    return (
        Result(
            backend=f"{kind} {lines[f'{kind}_version']}",
            durability=f"appendonly={'yes' if kept else 'no'}, appendfsync={synced}",
        ),
        before_s,
    )


if __name__ == "__main__":
    play(
        {
            "publish": publishing,
            "work": working,
            "clean": cleaning,
            "describe": describing,
        }
    )
