"""Reading without joining a group: one consumer, one reader at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from motet.core.event import Batch, Partition
from motet.core.ports import Clock
from motet.transports.kafka.consuming import reader_settings
from motet.transports.kafka.errors import LACKING, cause, translated
from motet.transports.kafka.messages import read
from motet.transports.kafka.options import Address

_ONE_LOOK = 5000  # messages taken at once
_WAIT_S = 0.1


class Reader:
    """Reads partitions from any offset on; goes on where it was without asking anew."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._consumer: Consumer | None = None
        self._at: tuple[Partition, int] | None = None  # what the consumer will give next
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["Reader"]:
        """Be there until the block is left."""
        try:
            yield self
        finally:
            if self._consumer is not None:
                async with self._turn:
                    await asyncio.to_thread(self._consumer.close)

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Records from `offset` on, or from the oldest kept.

        Raises:
            Unavailable: the broker does not answer.
        """
        async with self._turn:
            # A thread cannot be cancelled: whoever comes next waits until it is done.
            work = asyncio.get_running_loop().run_in_executor(
                None, self._read, partition, offset, limit
            )
            try:
                messages, end = await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait([work])
                raise
        return Batch(partition, *read(partition, messages), end=end)

    def _read(
        self, partition: Partition, offset: int, limit: int
    ) -> tuple[list[KafkaMessage], int]:
        doing = f"reading {partition}"
        try:
            return self._look(partition, offset, limit)
        except KafkaException as err:
            self._at = None
            if cause(err).code() in LACKING:
                return [], offset  # no such topic: nothing is there
            raise translated(cause(err), doing=doing, servers=self._address.servers) from err

    def _look(
        self, partition: Partition, offset: int, limit: int
    ) -> tuple[list[KafkaMessage], int]:
        consumer = self._consumer
        if consumer is None:
            consumer = self._consumer = Consumer(
                {**reader_settings(self._address), "fetch.wait.max.ms": 10}
            )
        topic = self._address.options.prefix + partition.topic
        place = TopicPartition(topic, partition.index, offset)
        timeout_s = self._address.options.timeout
        oldest, end = consumer.get_watermark_offsets(place, timeout=timeout_s)
        place.offset = at = max(offset, oldest)
        if at >= end:
            return [], at
        if self._at != (partition, at):
            consumer.assign([place])
        self._at = None
        found: list[KafkaMessage] = []
        until_s = self._clock.monotonic_s() + self._address.options.timeout
        while len(found) < limit and at < end and self._clock.monotonic_s() < until_s:
            for message in _some(consumer, min(_ONE_LOOK, limit - len(found))):
                error = message.error()
                if error is None:
                    found.append(message)
                    at = (message.offset() or 0) + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    at = end = max(at, message.offset() or 0)
                else:
                    raise KafkaException(error)
        self._at = (partition, at)
        return found, at


def _some(consumer: Consumer, most: int) -> list[KafkaMessage]:
    """What is there, or comes within a moment: `consume` alone waits until it has all."""
    first = consumer.poll(_WAIT_S)
    return [] if first is None else [first, *consumer.consume(most - 1, 0)]
