"""Where groups stand: the offsets they have committed.

The admin client can say so too, but librdkafka 2.16 ends the process by a failed assertion when
the coordinator goes away meanwhile. A consumer that never subscribes may ask, and joins nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from confluent_kafka import Consumer, KafkaException, TopicPartition

from motet.core.errors import MotetError
from motet.core.event import Partition
from motet.core.ports import Progress
from motet.transports.kafka.ahead import from_metadata
from motet.transports.kafka.consuming import reader_settings
from motet.transports.kafka.errors import cause, translated
from motet.transports.kafka.options import Address


class Standing:
    """Asks for committed offsets: one consumer for each group that was asked about."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._prefix = address.options.prefix
        self._consumers: dict[str, Consumer] = {}
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["Standing"]:
        """Be there until the block is left."""
        try:
            yield self
        finally:
            async with self._turn:
                for consumer in self._consumers.values():
                    await asyncio.to_thread(consumer.close)

    async def of(self, group: str, partition: Partition) -> Progress:
        """Where a group is; all defaults if it was never there.

        Raises:
            Unavailable: the broker does not answer, or a transaction is still open.
        """
        async with self._turn:
            # A thread cannot be cancelled: whoever comes next waits until it is done.
            work = asyncio.get_running_loop().run_in_executor(None, self._ask, group, partition)
            try:
                found = await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait([work])
                raise
        if found.offset < 0:
            return Progress()
        return Progress(next=found.offset, ahead=from_metadata(found.offset, found.metadata))

    def _ask(self, group: str, partition: Partition) -> TopicPartition:
        asked = [TopicPartition(self._prefix + partition.topic, partition.index)]
        doing = f"reading where group {group!r} is in {partition}"
        try:
            consumer = self._consumers.get(group)
            if consumer is None:
                settings = reader_settings(self._address) | {"group.id": self._prefix + group}
                consumer = self._consumers[group] = Consumer(settings)
            (found,) = consumer.committed(asked, timeout=self._address.options.timeout)
        except KafkaException as err:
            raise self._said(err, doing) from err
        if found.error is not None:
            raise self._said(KafkaException(found.error), doing)
        return found

    def _said(self, err: KafkaException, doing: str) -> MotetError:
        return translated(cause(err), doing=doing, servers=self._address.servers)
