"""A lease: what was read ahead of one partition, given batch by batch."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from motet.core.errors import MotetError
from motet.core.event import Batch, Partition
from motet.core.ports import Clock
from motet.transports.redis.entries import Entry, read

_LEAST = 100  # entries read at a time, where the reader asks for few


class Feeder(Protocol):
    """Who reads for a lease."""

    down: MotetError | None  # why nothing comes at present

    def poke(self) -> None:
        """A lease wants something else than is being read."""
        ...


class RedisLease:
    """The right to read one partition; conforms to `ports.Lease`.

    A `Reader` puts entries in, as the server gave them; they are decoded when they are given.
    """

    def __init__(
        self,
        partition: Partition,
        feeder: Feeder,
        *,
        key: bytes,
        group: str,
        member: bytes,
        clock: Clock,
        drained: Callable[[], None],
    ) -> None:
        self.partition = partition
        self.key = key
        self.group = group
        self.member = member
        self.lost = False  # taken away: the group thinks we are dead
        self.revoked = False  # to be given back, once what was fetched is committed
        self.revoked_s = 0.0
        self.left = False  # a fetch has said so to who reads
        self.drained = False  # nothing that was fetched is left to commit
        self.next = 0  # what to read next
        self.asked = _LEAST  # records that a fetch wants
        self.acked = 0
        self.noted = -1  # the last `acked` that the server has
        self.sought = False  # somebody said where to read on from
        self.placed = False  # since then, it was looked at what the partition holds
        self.warned = False  # that the partition ends before what the group has done
        self.progress: bytes | None = None  # as the server has noted it; None: not known
        self.claimed: list[int] = []  # pending entries of another program's consumers
        self._feeder = feeder
        self._clock = clock
        self._tell = drained
        self._held: list[Entry] = []
        self._at = 0  # what comes next of those held
        self._given = 0  # the end of what was given
        self._news = asyncio.Event()

    @property
    def wanting(self) -> bool:
        """Whether there should be more in hand."""
        return self.sought and not self._gone() and len(self._held) - self._at < self.asked

    async def seek(self, offset: int) -> None:
        """Read on from `offset`."""
        self._held, self._at = [], 0
        self._given = self.acked = self.next = offset
        self.sought, self.placed = True, False
        self._feeder.poke()

    async def fetch(self, *, max_records: int, max_wait_s: float) -> Batch | None:
        """Return the next records, an empty batch, or None once the lease is lost.

        Raises:
            Unavailable: nothing is in hand, and the server does not answer.
            ConfigError: the stream is written to by a program that numbers its entries otherwise.
        """
        await self._clock.sleep(0)  # a reader with a backlog lets others run
        until_s = self._clock.monotonic_s() + max_wait_s
        self.asked = max(_LEAST, max_records)
        if not self.sought:
            await self.seek(0)
        while True:
            if self._gone():
                self.left = True
                return None
            if self._at < len(self._held) or self.next > self._given:
                return self._give(max_records)
            if self._feeder.down is not None:
                raise type(self._feeder.down)(str(self._feeder.down)) from self._feeder.down
            left_s = until_s - self._clock.monotonic_s()
            if left_s <= 0:
                return Batch(self.partition, end=self._given)
            self._news.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def ack(self, next_offset: int) -> None:
        """Every record below is committed; once all are, a lease to be given back is."""
        self.acked = max(self.acked, next_offset)
        self._gone()

    def put(self, entries: list[Entry], after: int) -> None:
        """Add what was read; `after` is the offset that follows it."""
        if self._at:
            self._held = self._held[self._at :]
            self._at = 0
        self._held += entries
        self.next = after
        self._news.set()

    def skip(self, offset: int) -> None:
        """Go on from `offset`: there is nothing before it any more."""
        self.next = offset
        self._news.set()

    def ring(self) -> None:
        """Let a fetch that waits look again."""
        self._news.set()

    def _gone(self) -> bool:
        if self.revoked and not self.drained and self.acked >= self._given:
            self.drained = True
            self._tell()
        return self.revoked or self.lost

    def _give(self, limit: int) -> Batch:
        # Nothing is awaited here: a fetch that is cancelled has taken nothing.
        wanted = self.wanting
        taken = self._held[self._at : self._at + limit]
        batch = read(self.partition, taken, key=self.key, end=self.next)
        self._at += len(taken)
        self._given = batch.end
        if self._at >= len(self._held):
            self._held, self._at = [], 0
        if self.wanting and not wanted:
            self._feeder.poke()
        return batch
