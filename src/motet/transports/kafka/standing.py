"""Where groups stand, asked for without joining them.

Not by librdkafka's admin client: its `list_consumer_group_offsets` ends the process (an assertion,
2.16.1) when the answer that it has given up waiting for comes after all, as from a broker that is
started again. A consumer that never joins asks the same of the same coordinator.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from confluent_kafka import Consumer, KafkaException, TopicPartition

from motet.core.event import Partition
from motet.transports.kafka.consuming import reader_settings
from motet.transports.kafka.errors import cause, translated
from motet.transports.kafka.options import Address


class _Asker:
    """One group's consumer: it may be called by one thread at a time."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.turn = asyncio.Lock()


class Standing:
    """What groups have committed at the broker."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._askers: dict[str, _Asker] = {}

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["Standing"]:
        """Be there until the block is left."""
        try:
            yield self
        finally:
            for asker in self._askers.values():
                async with asker.turn:
                    await asyncio.to_thread(asker.consumer.close)

    async def committed(self, group: str, partition: Partition) -> TopicPartition | None:
        """What a group has committed in a partition; None: nothing.

        Raises:
            Unavailable: the broker does not answer.
        """
        doing = f"reading where group {group!r} is"
        try:
            asker = self._asker(group)
            async with asker.turn:
                # A thread cannot be cancelled: whoever comes next waits until it is done.
                work = asyncio.get_running_loop().run_in_executor(
                    None, self._ask, asker.consumer, partition
                )
                try:
                    found = await asyncio.shield(work)
                except asyncio.CancelledError:
                    await asyncio.wait([work])
                    raise
        except KafkaException as err:
            raise translated(cause(err), doing=doing, servers=self._address.servers) from err
        if found.error is not None:
            raise translated(found.error, doing=doing, servers=self._address.servers)
        return found if found.offset >= 0 else None

    def _asker(self, group: str) -> _Asker:
        asker = self._askers.get(group)
        if asker is None:
            name = self._address.options.prefix + group
            asker = _Asker(Consumer({**reader_settings(self._address), "group.id": name}))
            self._askers[group] = asker
        return asker

    def _ask(self, consumer: Consumer, partition: Partition) -> TopicPartition:
        topic = self._address.options.prefix + partition.topic
        place = TopicPartition(topic, partition.index)
        (found,) = consumer.committed([place], timeout=self._address.options.timeout)
        return found
