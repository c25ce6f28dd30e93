"""One socket that speaks RESP: requests go out packed, replies come back in order."""

import asyncio
from collections import deque
from collections.abc import Callable

import hiredis

_NOT_YET = object()


class _Expected:
    """A future that is due after so many replies."""

    __slots__ = ("count", "future", "replies")

    def __init__(self, future: asyncio.Future[object], count: int | None) -> None:
        self.future = future
        self.count = count  # None: one reply, given as it is
        self.replies: list[object] = []


class Wire(asyncio.Protocol):
    """Pipelines by nature: a request does not wait for the reply of the one before.

    No task and no lock: replies resolve futures in the order of the requests. A future that
    nobody waits for any more is passed over when its reply comes.
    """

    def __init__(self) -> None:
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)
        self._expected: deque[_Expected] = deque()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost: Exception | None = None
        self.closed = asyncio.Event()
        self.on_push: Callable[[object], None] | None = None  # what comes without a request

    @property
    def open(self) -> bool:
        """Whether requests can be sent."""
        return self._lost is None and self._transport is not None

    async def send(self, packed: bytes) -> asyncio.Future[object]:
        """Send one request; the future is its reply, an error reply included.

        All of it is handed over at once: a request is sent whole, or not at all.
        """
        return await self._send(packed, None)

    async def send_many(self, packed: bytes, count: int) -> asyncio.Future[object]:
        """Send `count` requests in one piece; the future is the list of their replies."""
        return await self._send(packed, count)

    def push(self, packed: bytes) -> None:
        """Send a request that is answered through `on_push`; nothing where the socket is gone."""
        if self._lost is None and self._transport is not None:
            self._transport.write(packed)

    async def _send(self, packed: bytes, count: int | None) -> asyncio.Future[object]:
        await self._writable.wait()
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self._lost is not None or self._transport is None:
            future.set_exception(self._lost or ConnectionError("not connected"))
            return future
        self._expected.append(_Expected(future, count))
        self._transport.write(packed)
        return future

    def abort(self, why: Exception) -> None:
        """Give the socket up: whatever waits for a reply fails."""
        if self._transport is not None:
            self._transport.abort()
        self._fail(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits for a reply."""
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def pause_writing(self) -> None:
        """Let nobody send: the socket takes no more for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on sending."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Take replies out of what came."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _NOT_YET:
                self._take(reply)
        except hiredis.ProtocolError as err:
            self.abort(err)

    def _take(self, reply: object) -> None:
        if not self._expected:
            if self.on_push is not None:
                self.on_push(reply)
            return
        head = self._expected[0]
        if head.count is None:
            self._expected.popleft()
            if not head.future.done():
                head.future.set_result(reply)
            return
        head.replies.append(reply)
        if len(head.replies) == head.count:
            self._expected.popleft()
            if not head.future.done():
                head.future.set_result(head.replies)

    def _fail(self, why: Exception) -> None:
        if self._lost is None:
            self._lost = why
        self.closed.set()
        self._writable.set()
        while self._expected:
            future = self._expected.popleft().future
            if not future.done():
                future.set_exception(self._lost)
                future.exception()  # where nobody waits for it any more, nobody has to hear
