"""A lease: one partition, read from an offset on, for as long as its token is held."""

import asyncio
from collections.abc import Callable

from motet.core.event import Batch, Partition
from motet.core.ports import Clock
from motet.drivers.amqp import Channel, StreamReader
from motet.transports.rabbitmq.log import batch


class RabbitLease:
    """The right to read one partition; conforms to `ports.Lease`.

    It is lost with its token, and with the connection over which the broker hands tokens out: a
    connection that is silent counts as lost before the broker gives the token to another.
    """

    def __init__(
        self,
        partition: Partition,
        channel: Channel,
        stream: str,
        *,
        clock: Clock,
        prefetch: int,
        drained: Callable[[], None],
    ) -> None:
        self.partition = partition
        self.lost = False  # the token is another's, or will be
        self.revoked = False  # to be given back, once what was fetched is committed
        self.revoked_s = 0.0
        self.left = False  # a fetch has said so to who reads
        self.drained = False  # nothing that was fetched is left to commit
        self._channel = channel
        self._reader = StreamReader(channel, stream, prefetch=prefetch)
        self._clock = clock
        self._tell = drained
        self._given = 0  # the end of what was given
        self._acked = 0
        self._sought = False

    @property
    def held(self) -> bool:
        """Whether the broker, as far as we can tell, has this lease down as ours."""
        return not self.lost and self._channel.connection.alive

    async def seek(self, offset: int) -> None:
        """Read on from `offset`."""
        self._sought = True
        self._given = self._acked = offset
        if not self._gone():
            self._reader.seek(offset)

    async def fetch(self, *, max_records: int, max_wait_s: float) -> Batch | None:
        """Return the next records, an empty batch, or None once the lease is lost."""
        await self._clock.sleep(0)  # a reader with a backlog lets others run
        loop = asyncio.get_running_loop()
        until_s = loop.time() + max_wait_s
        if not self._sought:
            await self.seek(0)
        while True:
            if self._gone():
                self.left = True
                return None
            left_s = until_s - loop.time()
            if self._reader or left_s <= 0:
                return self._give(max_records)
            await self._reader.wait(left_s)

    async def ack(self, next_offset: int) -> None:
        """Every record below is committed; once all are, a lease to be given back is."""
        self._acked = max(self._acked, next_offset)
        self._gone()

    def lose(self) -> None:
        """It is no longer ours; a fetch that waits returns None."""
        self.lost = True
        self._reader.ring()

    def revoke(self, now_s: float) -> None:
        """It is to be given back; a fetch that waits returns None."""
        self.revoked, self.revoked_s = True, now_s
        self._reader.ring()
        self._gone()

    @property
    def ended(self) -> bool:
        """Whether the broker reads no more from the stream for us: it may have been deleted."""
        return self._reader.ended

    async def close(self) -> None:
        """Read no more."""
        await self._channel.close()

    def _gone(self) -> bool:
        if self._reader.ended or not self.held:
            self.lost = True
        if self.revoked and not self.drained and self._acked >= self._given:
            self.drained = True
            self._tell()
        return self.revoked or self.lost

    def _give(self, limit: int) -> Batch:
        # Nothing is awaited here: a fetch that is cancelled has taken nothing.
        given = batch(self.partition, self._reader.take(limit), at=self._given)
        self._given = given.end
        return given
