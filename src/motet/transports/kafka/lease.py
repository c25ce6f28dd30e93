"""A lease: what was fetched of one partition, until the runtime asks for it."""

import asyncio
from collections import deque
from typing import Protocol

import msgspec
from confluent_kafka import Message as KafkaMessage

from motet.core.errors import Unavailable
from motet.core.event import Batch, Partition
from motet.core.ports import Clock
from motet.transports.kafka.messages import read

Place = tuple[str, int]
"""Topic, as it is called on the broker, and partition."""


class Chunk(msgspec.Struct):
    """Messages of one partition as they came, and where the next one will be."""

    place: Place
    epoch: int  # of the seek that they were read for
    messages: list[KafkaMessage]
    end: int
    size_bytes: int = 0


class Intake(Protocol):
    """What fetches for a lease."""

    def read_from(self, lease: "KafkaLease", offset: int) -> None:
        """Begin, or begin anew, at an offset."""
        ...

    def acked(self, lease: "KafkaLease", next_offset: int) -> None:
        """Tell the broker, some time soon, that all below is done."""
        ...

    def trouble(self) -> str:
        """Why nothing can be fetched at present; empty when all is well."""
        ...


class KafkaLease:
    """The right to read one partition; conforms to `ports.Lease`.

    Lives on the event loop. A consumer's thread reads `taken`, `taken_bytes` and `drained`.
    """

    def __init__(self, partition: Partition, place: Place, intake: Intake, clock: Clock) -> None:
        self.partition = partition
        self.place = place
        self.epoch = 0  # raised by each seek: what was fetched before it is dropped
        self.lost = False  # taken away
        self.revoked = False  # to be given back, once what was fetched is committed
        self.taken = 0  # chunks of this epoch that were given, or dropped
        self.taken_bytes = 0
        self.keeps_progress = False  # `advance` notes progress: an ack is less than it knows
        self._intake = intake
        self._clock = clock
        self._chunks: deque[Chunk] = deque()
        self._next = self._given = self._acked = 0
        self._news = asyncio.Event()

    @property
    def drained(self) -> bool:
        """Whether nothing that was given is left to commit."""
        return self._acked >= self._given

    async def seek(self, offset: int) -> None:
        """Read on from `offset`."""
        self.epoch += 1
        self.taken = self.taken_bytes = 0
        self._chunks.clear()
        self._next = self._given = self._acked = offset
        if not self.lost and not self.revoked:
            self._intake.read_from(self, offset)

    async def fetch(self, *, max_records: int, max_wait_s: float) -> Batch | None:
        """Return the next records, an empty batch, or None once the lease is lost."""
        await self._clock.sleep(0)  # a reader with a backlog lets others run
        if not self.epoch:
            await self.seek(0)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + max_wait_s
        while True:
            if self.lost or self.revoked:
                return None
            if (batch := self._take(max_records)) is not None:
                return batch
            if trouble := self._intake.trouble():
                raise Unavailable(trouble)
            self._news.clear()
            try:
                async with asyncio.timeout_at(until_s):
                    await self._news.wait()
            except TimeoutError:
                return Batch(self.partition, end=self._given)

    async def ack(self, next_offset: int) -> None:
        """Every record below is committed; the broker hears of it within a second."""
        if next_offset > self._acked:
            self._acked = next_offset
            if not self.keeps_progress:
                self._intake.acked(self, next_offset)

    def note(self, next_offset: int) -> None:
        """Every record below is committed, and the broker knows."""
        self._acked = max(self._acked, next_offset)

    def add(self, chunk: Chunk) -> None:
        """Keep what was fetched."""
        if chunk.epoch == self.epoch:
            self._chunks.append(chunk)
            self._news.set()

    def lose(self) -> None:
        """Take the lease away; a fetch that waits returns None."""
        self.lost = True
        self._chunks.clear()
        self._news.set()

    def revoke(self) -> None:
        """Let nothing more be fetched."""
        self.revoked = True
        self._chunks.clear()
        self._news.set()

    def ring(self) -> None:
        """Let a fetch that waits look again."""
        self._news.set()

    def _take(self, limit: int) -> Batch | None:
        # Nothing is awaited here: a fetch that is cancelled has taken nothing.
        messages: list[KafkaMessage] = []
        end = self._next
        while self._chunks and len(messages) < limit:
            chunk = self._chunks[0]
            room = limit - len(messages)
            if len(chunk.messages) > room:
                messages += chunk.messages[:room]
                del chunk.messages[:room]
                end = (messages[-1].offset() or 0) + 1
                break
            messages += chunk.messages
            end = chunk.end
            self._chunks.popleft()
            self.taken += 1
            self.taken_bytes += chunk.size_bytes
        if end <= self._next:
            return None
        self._next = self._given = end
        records, broken = read(self.partition, messages)
        return Batch(self.partition, records, broken, end=end)
