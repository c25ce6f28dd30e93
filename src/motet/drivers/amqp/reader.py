"""Reading a stream: a consumer at an offset, with a bounded buffer."""

import asyncio
from collections import deque

from motet.core.errors import Unavailable
from motet.drivers.amqp import messages, wire
from motet.drivers.amqp.channel import Channel

PREFETCH = 500
_MOST_BYTES = 32 << 20  # in the buffer; above it the consumer rests


class StreamReader:
    """What a stream has from an offset on. It has its channel to itself.

    Acknowledging is how a stream's consumer asks for more; where a group is, is kept elsewhere.
    """

    def __init__(self, channel: Channel, queue: str, *, prefetch: int = PREFETCH) -> None:
        self.ended = False  # the broker ended the consumer, or the connection is lost
        self._channel = channel
        self._queue = queue
        self._prefetch = prefetch
        self._tag = ""
        self._buffer: deque[wire.Delivery] = deque()
        self._bytes = 0
        self._from = 0  # deliveries below are not wanted
        self._next = 0  # after the last in the buffer
        self._taken = 0  # since the last acknowledgement
        self._bell = asyncio.Event()

    def __len__(self) -> int:
        return len(self._buffer)

    def seek(self, offset: int) -> None:
        """Read on from `offset`; what is in the buffer is dropped."""
        self._rest()
        self._buffer.clear()
        self._bytes = self._taken = 0
        self._from = self._next = offset
        self._consume(offset)

    def take(self, limit: int) -> list[wire.Delivery]:
        """Return at most `limit` deliveries that have come, and ask for as many more."""
        buffer = self._buffer
        if len(buffer) <= limit:
            taken = list(buffer)
            buffer.clear()
            self._bytes = 0
        else:
            taken = [buffer.popleft() for _ in range(limit)]
            self._bytes -= sum([len(each.body) for each in taken])
        self._taken += len(taken)
        if not self._tag:
            if self._bytes < _MOST_BYTES // 2 and not self.ended:
                self._consume(self._next)
        elif taken and self._taken >= self._prefetch // 4:
            self._taken = 0
            self._channel.ack(taken[-1].tag, multiple=True)
        if not buffer:
            self._bell.clear()
        return taken

    async def wait(self, max_wait_s: float) -> None:
        """Return when there is something to take, or `ring` was called, or after a time."""
        try:
            async with asyncio.timeout(max_wait_s):
                await self._bell.wait()
        except TimeoutError:
            pass

    def ring(self) -> None:
        """Let who waits look again."""
        self._bell.set()

    async def upto(self, end: int, limit: int) -> list[wire.Delivery]:
        """Return at most `limit` of what is below offset `end`, which is known to be there.

        Raises:
            MotetError: the channel is closed, or it does not come in time.
        """
        found: list[wire.Delivery] = []
        loop, patience_s = asyncio.get_running_loop(), self._channel.connection.address.timeout_s
        until_s = loop.time() + patience_s
        while len(found) < limit and self._next_taken(found) < end:
            taken = self.take(limit - len(found))
            found += taken
            if taken:
                until_s = loop.time() + patience_s
            elif self.ended or loop.time() >= until_s:
                raise self._channel.error or Unavailable(
                    f"{self._queue!r} on {self._channel.connection.address} has events up to "
                    f"{end}, and delivers none"
                )
            else:
                await self.wait(until_s - loop.time())
        return found

    def _next_taken(self, found: list[wire.Delivery]) -> int:
        return messages.offset(found[-1]) + 1 if found else self._from

    def stop(self) -> None:
        """Consume no more."""
        self._rest()

    def _consume(self, offset: int) -> None:
        self._tag, _ = self._channel.post_consume(
            self._queue,
            self._on_delivery,
            prefetch=self._prefetch,
            arguments={"x-stream-offset": offset},
        )

    def _rest(self) -> None:
        if self._tag and self._channel.error is None:
            self._channel.post_cancel(self._tag)
        self._tag = ""

    def _on_delivery(self, delivery: wire.Delivery | None) -> None:
        if delivery is None:
            self.ended = True
        else:
            at = messages.offset(delivery)
            if at < self._from:  # of the chunk in which the offset is
                return
            self._next = at + 1
            self._buffer.append(delivery)
            self._bytes += len(delivery.body)
            if self._bytes > _MOST_BYTES:
                self._rest()
        self._bell.set()
