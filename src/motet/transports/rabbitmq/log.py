"""Looking at streams without joining a group: their ends, their records, their news."""

import asyncio
from collections.abc import Sequence

from motet.core.event import Batch, Partition
from motet.core.ports import TopicInfo
from motet.drivers.amqp import (
    Answer,
    Channel,
    ChannelClosed,
    Delivery,
    Link,
    StreamReader,
    offset,
    records,
)
from motet.transports.rabbitmq.edges import edges
from motet.transports.rabbitmq.names import Names
from motet.transports.rabbitmq.registry import Registry, Topic

_READ_PREFETCH = 500


class Log:
    """Reads streams on channels of its own."""

    def __init__(self, names: Names, registry: Registry, reads: Link) -> None:
        self.written: set[str] = set()  # streams that are not empty, as far as was seen
        self._names = names
        self._registry = registry
        self._reads = reads

    async def infos(self) -> list[TopicInfo]:
        """All topics by name, in a few round trips. The newest chunk of each stream is read."""
        topics = [await self._registry.known(name) for name in sorted(self._registry.topics)]
        ageing = [each for each in topics if each.retention_s is not None or each.max_age_s]
        ends = await self._edges(self._streams(topics), "last")
        starts = await self._edges([s for s in self._streams(ageing) if ends[s]], "first")
        return [self._info(topic, starts, ends) for topic in topics]

    async def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Records from `offset` on, or from the oldest kept."""
        topic = self._registry.topics.get(partition.topic)
        if topic is None or not 0 <= partition.index < topic.partitions or limit < 1:
            return Batch(partition, end=offset)
        await self._registry.known(partition.topic)
        stream = self._names.stream(partition)
        end = max((await self._edges([stream], "last"))[stream], default=-1) + 1
        if offset >= end:
            return Batch(partition, end=offset)
        channel = await self._reads.channel()
        try:
            reader = StreamReader(channel, stream, prefetch=min(_READ_PREFETCH, limit))
            reader.seek(offset)
            found = await reader.upto(end, limit)
        finally:
            await channel.close()
        return batch(partition, found, at=offset)

    async def _edges(self, streams: Sequence[str], at: str) -> dict[str, list[int]]:
        channel = await self._reads.channel()
        try:
            found = await edges(channel, streams, at, sure=self.written)
        except ChannelClosed:  # if a stream was deleted, the next try declares it again
            self.written.clear()
            self._registry.doubt()
            raise
        finally:
            await channel.close()
        self.written.update([stream for stream, offsets in found.items() if offsets])
        return found

    def _streams(self, topics: Sequence[Topic]) -> list[str]:
        return [self._names.stream(each) for topic in topics for each in topic.all]

    def _info(
        self, topic: Topic, starts: dict[str, list[int]], ends: dict[str, list[int]]
    ) -> TopicInfo:
        streams = [self._names.stream(each) for each in topic.all]
        first = tuple([min(starts.get(each) or [0]) for each in streams])
        after = tuple([max(ends[each], default=-1) + 1 for each in streams])
        return TopicInfo(
            topic.topic,
            topic.partitions,
            topic.retention_s,
            sum(after) - sum(first),
            None,
            ends=after,
            starts=first,
        )


def batch(partition: Partition, found: Sequence[Delivery], *, at: int) -> Batch:
    """Return deliveries as a batch; `at` is its end where there are none."""
    good, broken = records(partition, found)
    end = offset(found[-1]) + 1 if found else at
    return Batch(partition, tuple(good), tuple(broken), end=end)


class Watch:
    """Says when something was published, by one sleeping consumer on each stream."""

    def __init__(self, names: Names, registry: Registry, reads: Link) -> None:
        self._names = names
        self._registry = registry
        self._reads = reads
        self._channel: Channel | None = None
        self._tags: dict[str, str] = {}  # consumers that wait, by stream
        self._bell = asyncio.Event()
        self._turn = asyncio.Lock()

    async def wait(self, max_wait_s: float) -> None:
        """Return when something may have been published since the last call, or after a time."""
        try:
            async with asyncio.timeout(max_wait_s):
                self._registry.listen(self._bell.set)
                async with self._turn:
                    await self._arm()
                await self._bell.wait()
        except TimeoutError:
            return
        finally:
            self._registry.unlisten(self._bell.set)
        async with self._turn:
            self._bell.clear()
            await self._arm()  # before the caller looks: what comes after the look rings again

    async def _arm(self) -> None:
        if self._channel is None or self._channel.error is not None:
            self._channel = await self._reads.channel()
            self._tags.clear()
            self._bell.set()  # what came while nobody watched
        answers = []
        for name in sorted(self._registry.topics):
            topic = await self._registry.known(name)
            for partition in topic.all:
                stream = self._names.stream(partition)
                if stream not in self._tags:
                    answers.append(self._consume(self._channel, stream))
        for answer in answers:
            await self._channel.connection.within(answer, "a look at a stream")

    def _consume(self, channel: Channel, stream: str) -> Answer:
        def on_delivery(delivery: Delivery | None) -> None:
            tag = self._tags.pop(stream, None)
            if tag is not None and delivery is not None:
                channel.post_cancel(tag)
            self._bell.set()

        self._tags[stream], answer = channel.post_consume(
            stream, on_delivery, prefetch=1, arguments={"x-stream-offset": "next"}
        )
        return answer
