"""A TCP proxy that breaks connections on demand: the network between a client and a real server."""

import asyncio
import socket
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

from motet.core.clock import SystemClock
from motet.core.errors import ConfigError
from motet.core.ports import Clock
from motet.testing.relay import Connection, Corruption, Direction, Lane


class FaultProxy:
    """Stands between clients and a server, and does to their connections what it is told.

    While the block is entered it listens on `listen_host`, on a free port unless `listen_port`
    says which, and opens one connection to `host`:`port` for each that comes in; if it cannot, the
    client's is reset. A fault is in force for every connection, also later ones, when its method
    returns, and until `heal`. Leaving the block resets what is open.

    A sender is held back as its receiver would hold it back: at most 64 KiB per direction and
    connection are in the proxy, the rest is in the kernel's buffers. `clock` is what `slow` waits
    by; the sockets are real, so a `SimClock` is of no use.

    Raises:
        OSError: it cannot listen there (from entering the block).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        listen_host: str = "127.0.0.1",
        listen_port: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self._server = host, port
        self._address = listen_host, listen_port
        self._clock = clock or SystemClock()
        self._lanes = {direction: Lane(direction) for direction in Direction.BOTH}
        self._connections: set[Connection] = set()
        self._tasks = asyncio.TaskGroup()
        self._place: socket.socket | None = None
        self._listener: socket.socket | None = None

    async def __aenter__(self) -> Self:
        if sys.platform == "linux":
            # Bound and never listening, it keeps the port ours while we refuse connections.
            self._place = self._bound()
        try:
            self._listen()
            await self._tasks.__aenter__()
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()
        self.cut()
        # The group is not told of the block's error: it would wrap it.
        await self._tasks.__aexit__(None, None, None)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on; known once the block is entered."""
        return self._address

    @property
    def connections(self) -> int:
        """How many are open, half-closed and stalled ones too."""
        return len(self._connections)

    def passed_bytes(self, direction: Direction = Direction.BOTH) -> int:
        """Return how many bytes went through since the block was entered."""
        return sum(lane.passed_bytes for lane in self._in(direction))

    def cut(self) -> None:
        """Break all connections now, on both sides, with RST; new ones are accepted."""
        for connection in list(self._connections):
            connection.reset()
        self._connections.clear()

    def refuse(self) -> None:
        """Refuse new connections, as where nobody listens; those that are open go on."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def stall(self, direction: Direction = Direction.BOTH) -> None:
        """Take in no byte and pass none on until `resume`; connections stay open, as if dead."""
        for lane in self._in(direction):
            lane.stall()

    def resume(self, direction: Direction = Direction.BOTH) -> None:
        """End a stall; what was sent meanwhile arrives."""
        for lane in self._in(direction):
            lane.resume()

    def half_close(self, direction: Direction) -> None:
        """Let the receivers of a direction see its end; what is sent that way later is dropped.

        This is for the connections that are open, and cannot be healed.
        """
        for one in direction:
            for connection in list(self._connections):
                connection.end(one)

    def slow(
        self,
        direction: Direction = Direction.BOTH,
        *,
        bytes_per_s: float | None = None,
        delay_s: float = 0.0,
    ) -> None:
        """Hold bytes back: what comes in together for `delay_s`, and each connection to a rate.

        Raises:
            ConfigError: the rate is not above 0, or the delay is below 0.
        """
        if (bytes_per_s is not None and not bytes_per_s > 0) or not delay_s >= 0:
            raise ConfigError(
                f"bytes_per_s={bytes_per_s!r}, delay_s={delay_s!r} is no pace: give a rate above 0 "
                "and a delay of 0 or more, or stall()"
            )
        for lane in self._in(direction):
            lane.pace(bytes_per_s, delay_s)

    def corrupt(
        self,
        direction: Direction = Direction.BOTH,
        *,
        every: int = 1,
        count: int | None = None,
        seed: int | str = 0,
    ) -> None:
        """Change one byte in each `every` that come in from now on, `count` in all (None: no end).

        Bytes are counted per connection and direction. The same seed changes the same bytes of the
        same stream in the same way, whatever the pieces in which it comes.

        Raises:
            ConfigError: `every` is below 1, or `count` is below 0.
        """
        if every < 1 or (count is not None and count < 0):
            raise ConfigError(
                f"every={every!r}, count={count!r} cannot be: give every=1 or more, and count=0 "
                "or more, or None for no end"
            )
        for lane in self._in(direction):
            lane.corruption = Corruption(every, count, seed)

    def heal(self) -> None:
        """End every fault: accept, resume, do not slow down, do not corrupt."""
        for lane in self._in(Direction.BOTH):
            lane.corruption = None
            lane.pace(None, 0.0)
            lane.resume()
        if self._listener is None:
            self._listen()

    def _in(self, direction: Direction) -> list[Lane]:
        return [self._lanes[one] for one in direction]

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(self._address)
        except BaseException:
            sock.close()
            raise
        self._address = self._address[0], sock.getsockname()[1]
        return sock

    def _listen(self) -> None:
        self._listener = self._bound()
        self._listener.setblocking(False)
        self._listener.listen()
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):  # it changed its mind
            client, _ = listener.accept()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(client, self._lanes, self._clock)
            self._connections.add(connection)
            connection.task = self._tasks.create_task(
                connection.run(*self._server), name=f"proxy to {self._server[0]}:{self._server[1]}"
            )
            connection.task.add_done_callback(lambda _: self._connections.discard(connection))

    def _leave(self) -> None:
        self.refuse()
        if self._place is not None:
            self._place.close()
            self._place = None
