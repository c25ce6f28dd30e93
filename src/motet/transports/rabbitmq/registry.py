"""The topics there are: a stream that every client follows, for AMQP cannot list queues."""

import asyncio
import logging
import math
import secrets
from collections.abc import Callable, Mapping

import msgspec
from pamqp import base, commands

from motet.core.errors import ConfigError, TransientError
from motet.core.event import Partition
from motet.core.ports import Clock
from motet.core.topics import check_topic
from motet.drivers.amqp import (
    PLAIN,
    Answer,
    Channel,
    Delivery,
    Frames,
    Link,
    Publisher,
    offset,
)
from motet.transports.rabbitmq.edges import edges
from motet.transports.rabbitmq.management import Management
from motet.transports.rabbitmq.names import Names
from motet.transports.rabbitmq.options import Options

_AGAIN_S = 0.5  # before following anew, after the connection was lost
_log = logging.getLogger(__name__)


class Topic(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the registry. The first of a topic says how its streams are declared."""

    topic: str
    partitions: int
    retention_s: float | None = None
    max_age_s: int = 0  # declared with the streams; 0: none, a policy may say
    segment_bytes: int = 100_000_000
    exchange: str = "direct"
    by: str = ""  # who wrote it waits for it

    @property
    def all(self) -> list[Partition]:
        """Its partitions."""
        return [Partition(self.topic, index) for index in range(self.partitions)]


class Registry:
    """Knows the topics, makes new ones, declares their streams. `follow` keeps it current."""

    def __init__(
        self, options: Options, names: Names, clock: Clock, *, reads: Link, writes: Publisher
    ) -> None:
        self.topics: dict[str, Topic] = {}
        self._options = options
        self._names = names
        self._clock = clock
        self._reads = reads
        self._writes = writes
        self._management = Management(options)
        self._declared: set[str] = set()
        self._waiting: dict[str, asyncio.Future[Topic]] = {}
        self._listeners: set[Callable[[], None]] = set()
        self._lost = asyncio.Event()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever a topic is new or changed."""
        self._listeners.add(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        self._listeners.discard(listener)

    async def known(self, topic: str) -> Topic:
        """Return a topic, ready to be published to; made with the default settings if it is new.

        Raises:
            ConfigError: no topic can be called so.
            Unavailable: the broker does not answer.
        """
        found = self.topics.get(topic)
        if found is None:
            found = await self._write(self._first(topic, self._options.partitions, None))
        if topic not in self._declared:
            await self.declare(found)
        return found

    async def create(self, topic: str, *, partitions: int, retention_s: float | None) -> None:
        """Make a topic, or change its retention.

        Raises:
            ConfigError: it exists with another number of partitions.
        """
        if not 1 <= partitions <= 1024:
            raise ConfigError(f"topic {topic!r} needs 1 to 1024 partitions, not {partitions}")
        found = self.topics.get(topic)
        if found is None:
            found = await self._write(self._first(topic, partitions, retention_s))
        if found.partitions != partitions:
            raise ConfigError(
                f"topic {topic!r} has {found.partitions} partitions, not {partitions}: another "
                "number would move keys; make a new topic and copy the events"
            )
        await self.declare(found)
        if found.retention_s != retention_s:
            await self._write(msgspec.structs.replace(found, retention_s=retention_s))
            await self._retain(topic, retention_s, found.max_age_s)

    async def declare(self, topic: Topic) -> None:
        """Declare exchange, streams and bindings. Idempotent; 10 ms for each new stream."""
        channel = await self._reads.channel()
        try:
            answers = [channel.post(call) for call in self._declarations(topic)]
            for answer in answers:
                await channel.connection.within(answer, f"the declaration of {topic.topic!r}")
        finally:
            await channel.close()
        self._declared.add(topic.topic)

    def missing(self, topic: str) -> None:
        """Its exchange or a stream is gone: declare them again before the next use."""
        self._declared.discard(topic)

    def doubt(self) -> None:
        """Something is gone, and nobody knows what: declare every topic before its next use."""
        self._declared.clear()

    async def start(self) -> None:
        """Read the registry as far as it goes.

        Raises:
            ConfigError: the broker is no RabbitMQ with streams, or refuses the user.
            Unavailable: it does not answer.
        """
        name = self._names.registry
        channel = await self._reads.channel()
        await channel.call(_stream(name, {}))
        self._lost.clear()
        end = max((await edges(channel, [name], "last"))[name], default=-1) + 1
        caught_up: Answer = asyncio.get_running_loop().create_future()

        def on_delivery(delivery: Delivery | None) -> None:
            if delivery is None:
                self._lost.set()
                return
            channel.ack(delivery.tag)
            self._apply(delivery.body)
            if offset(delivery) + 1 >= end and not caught_up.done():
                caught_up.set_result(commands.Basic.ConsumeOk())

        await channel.consume(
            name, on_delivery, prefetch=100, arguments={"x-stream-offset": "first"}
        )
        if end:
            await channel.connection.within(caught_up, "the list of topics")

    async def follow(self) -> None:
        """Keep it current, until cancelled. `start` came first."""
        while True:
            await self._lost.wait()
            try:
                await self.start()
            except (TransientError, ConfigError) as err:
                _log.warning("rabbitmq.registry", extra={"error": str(err)})
                await self._clock.sleep(_AGAIN_S)

    def _first(self, topic: str, partitions: int, retention_s: float | None) -> Topic:
        check_topic(topic)
        by_argument = retention_s is not None and not self._management
        return Topic(
            topic,
            partitions,
            retention_s=retention_s,
            max_age_s=_age_s(retention_s) if by_argument else 0,
            segment_bytes=self._options.segment_bytes,
            exchange=self._options.exchange,
        )

    async def _write(self, topic: Topic) -> Topic:
        """Write an entry and return what holds once it is read: the first of a topic wins."""
        mine = msgspec.structs.replace(topic, by=secrets.token_hex(8))
        future = self._waiting[mine.by] = asyncio.get_running_loop().create_future()
        value = msgspec.json.encode(mine)

        def pack(channel: Channel) -> Frames:
            route = channel.route("", self._names.registry, PLAIN)
            return [route.pack(value)], [("", self._names.registry)]

        try:
            await self._writes.publish(pack)
            connection = await self._reads.connection()
            return await connection.within(future, "an entry in the list of topics")
        finally:
            del self._waiting[mine.by]

    def _apply(self, value: bytes) -> None:
        entry = msgspec.json.decode(value, type=Topic)
        found = self.topics.get(entry.topic)
        if found is None:
            self.topics[entry.topic] = found = entry
        elif found.partitions == entry.partitions and entry.max_age_s == found.max_age_s:
            found = msgspec.structs.replace(found, retention_s=entry.retention_s)
            self.topics[entry.topic] = found
        waiting = self._waiting.get(entry.by)
        if waiting is not None and not waiting.done():
            waiting.set_result(found)
        for listener in list(self._listeners):
            listener()

    def _declarations(self, topic: Topic) -> list[base.Frame]:
        exchange = self._names.exchange(topic.topic)
        arguments: dict[str, object] = {"x-stream-max-segment-size-bytes": topic.segment_bytes}
        if topic.max_age_s:
            arguments["x-max-age"] = f"{topic.max_age_s}s"
        calls: list[base.Frame] = [
            commands.Exchange.Declare(exchange=exchange, exchange_type=topic.exchange, durable=True)
        ]
        for partition in topic.all:
            queue = self._names.stream(partition)
            key = f"{partition.index}.#" if topic.exchange == "topic" else str(partition.index)
            calls.append(_stream(queue, arguments))
            calls.append(commands.Queue.Bind(queue=queue, exchange=exchange, routing_key=key))
        return calls

    async def _retain(self, topic: str, retention_s: float | None, max_age_s: int) -> None:
        if self._management:
            age_s = None if retention_s is None else _age_s(retention_s)
            await self._management.retain(self._names.exchange(topic), age_s)
        else:
            _log.warning(
                "rabbitmq.retention",
                extra={
                    "topic": topic,
                    "wanted_s": retention_s,
                    "declared_s": max_age_s or None,
                    "look": "a stream keeps what it was declared with; a policy changes it: put "
                    "management=http://USER:PASSWORD@HOST:15672 in the URL",
                },
            )


def _stream(name: str, arguments: Mapping[str, object]) -> commands.Queue.Declare:
    return commands.Queue.Declare(
        queue=name,
        durable=True,
        arguments={"x-queue-type": "stream", **arguments},  # type: ignore[dict-item]
    )


def _age_s(retention_s: float | None) -> int:
    return max(1, math.ceil(retention_s or 0))
