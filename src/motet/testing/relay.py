"""One TCP connection passed on, byte by byte, under the faults of its two directions.

Bytes stay in the kernel's buffers until they can be passed on, but for one chunk per direction: a
sender that is faster than its receiver is held back, and what is stalled is not even read.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from enum import Flag

import msgspec

from motet.core.ports import Clock

_CHUNK_BYTES = 65_536
_PIECES_PER_S = 10  # a limited rate is dealt out in so many pieces
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST, and drops what was not sent


class Direction(Flag):
    """Which way bytes go through a proxy: `TO_SERVER`, `TO_CLIENT`, or `BOTH`."""

    TO_SERVER = 1
    TO_CLIENT = 2
    BOTH = 3


class Corruption(msgspec.Struct, frozen=True):
    """One byte in each `every` is changed, `count` bytes in all (None: no end)."""

    every: int
    count: int | None
    seed: int | str


class Lane:
    """What is wrong with one direction, for all connections, and how much went through it."""

    def __init__(self, direction: Direction) -> None:
        self.direction = direction
        self.passed_bytes = 0
        self.delay_s = 0.0
        self.bytes_per_s: float | None = None
        self.corruption: Corruption | None = None
        self.resting: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    def stall(self) -> None:
        """Let nothing through."""
        self._flowing.clear()

    def resume(self) -> None:
        """Let things through again."""
        self._flowing.set()

    async def flow(self) -> None:
        """Return when it is not stalled; it stays so until the next await."""
        while not self._flowing.is_set():
            await self._flowing.wait()

    def pace(self, bytes_per_s: float | None, delay_s: float) -> None:
        """Set the pace, also for what is being held back."""
        self.bytes_per_s = bytes_per_s
        self.delay_s = delay_s
        for rest in self.resting:
            rest.cancel()


class Connection:
    """A client's connection and the one to the server that it stands for."""

    def __init__(self, client: socket.socket, lanes: dict[Direction, Lane], clock: Clock) -> None:
        self._sockets = [client]
        self._lanes = lanes
        self._clock = clock
        self._pipes: dict[Direction, _Pipe] = {}
        self._ended: set[Direction] = set()
        self.task: asyncio.Task[None] | None = None

    async def run(self, host: str, port: int) -> None:
        """Connect to the server and pass bytes on until both sides have ended, or one broke."""
        try:
            server = await _dial(host, port)
            self._sockets.append(server)
            async with asyncio.TaskGroup() as tasks:
                for direction, source, sink in (
                    (Direction.TO_SERVER, self._sockets[0], server),
                    (Direction.TO_CLIENT, server, self._sockets[0]),
                ):
                    pipe = _Pipe(source, sink, self._lanes[direction], self._clock, tasks)
                    self._pipes[direction] = pipe
                    if direction in self._ended:
                        pipe.end()
                    tasks.create_task(self._pass(pipe), name=f"proxy {direction.name}")
        except OSError:
            self.reset()
        finally:
            self.close()

    def end(self, direction: Direction) -> None:
        """Let the receiver of a direction see the end, and drop what comes later."""
        self._ended.add(direction)
        if pipe := self._pipes.get(direction):
            pipe.end()

    def reset(self) -> None:
        """Break the connection on both sides, at once."""
        for sock in self._sockets:
            with suppress(OSError):  # where a system refuses to, its peer has gone already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close()
        if self.task is not None:
            self.task.cancel()

    def close(self) -> None:
        """Close both sides."""
        loop = asyncio.get_running_loop()
        while self._sockets:
            sock = self._sockets.pop()
            loop.remove_reader(sock)
            loop.remove_writer(sock)
            sock.close()

    async def _pass(self, pipe: "_Pipe") -> None:
        try:
            await pipe.run()
        except OSError:  # what breaks on one side breaks on the other
            self.reset()


class _Pipe:
    """One direction of one connection."""

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        lane: Lane,
        clock: Clock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._source = source
        self._sink = sink
        self._lane = lane
        self._clock = clock
        self._tasks = tasks
        self._ended = False
        self._corrupter: _Corrupter | None = None

    async def run(self) -> None:
        while chunk := await self._read():
            if self._lane.delay_s:
                await self._rest(self._lane.delay_s)
            await self._write(self._corrupted(chunk))
        self.end()

    def end(self) -> None:
        self._ended = True
        with suppress(OSError):  # its receiver has gone already
            self._sink.shutdown(socket.SHUT_WR)

    async def _read(self) -> bytes:
        while True:
            await _readable(self._source)
            await self._lane.flow()
            with suppress(BlockingIOError):
                return self._source.recv(_CHUNK_BYTES)

    async def _write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            await self._lane.flow()
            if self._ended:
                return
            rate = self._lane.bytes_per_s
            size = len(rest) if rate is None else max(1, int(rate / _PIECES_PER_S))
            try:
                sent = self._sink.send(rest[:size])
            except BlockingIOError:
                await _writable(self._sink)
                continue
            self._lane.passed_bytes += sent
            rest = rest[sent:]
            if rate is not None:
                await self._rest(sent / rate)

    async def _rest(self, delay_s: float) -> None:
        """Wait, or until the pace is set anew."""
        rest = self._tasks.create_task(self._clock.sleep(delay_s), name="proxy holds back")
        self._lane.resting.add(rest)
        try:
            await asyncio.wait({rest})
        finally:
            self._lane.resting.discard(rest)

    def _corrupted(self, chunk: bytes) -> bytes:
        wanted = self._lane.corruption
        if wanted is None:
            return chunk
        if self._corrupter is None or self._corrupter.wanted is not wanted:
            self._corrupter = _Corrupter(wanted, self._lane.direction)
        return self._corrupter.change(chunk)


class _Corrupter:
    """Changes bytes of one stream; which, and to what, does not depend on how it is cut up."""

    def __init__(self, wanted: Corruption, direction: Direction) -> None:
        self.wanted = wanted
        # Were both directions alike, an echo would be corrupted back into what it was.
        self._rng = random.Random(f"corruption {direction.name} {wanted.seed}")
        self._left = wanted.count
        self._place = self._rng.randrange(wanted.every)  # in the group of `every` bytes
        self._next = self._place  # from where the stream is now

    def change(self, chunk: bytes) -> bytes:
        changed = bytearray(chunk)
        while self._next < len(changed) and self._left != 0:
            changed[self._next] ^= self._rng.randrange(1, 256)
            self._left = None if self._left is None else self._left - 1
            place = self._rng.randrange(self.wanted.every)
            self._next += self.wanted.every - self._place + place
            self._place = place
        self._next -= len(changed)
        return bytes(changed)


async def _dial(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failed: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, address)
        except OSError as err:
            failed = err
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed or OSError(f"{host!r} has no address")


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await _ready(sock, loop.add_reader, loop.remove_reader)


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await _ready(sock, loop.add_writer, loop.remove_writer)


async def _ready(
    sock: socket.socket,
    watch: Callable[..., object],
    unwatch: Callable[[socket.socket], object],
) -> None:
    if sock.fileno() == -1:
        raise ConnectionAbortedError("the proxy closed it")
    ready = asyncio.get_running_loop().create_future()
    watch(sock, _wake, ready)
    try:
        await ready
    finally:
        if sock.fileno() != -1:  # else it was closed, and its number may be another's by now
            unwatch(sock)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
