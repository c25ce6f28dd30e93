"""Exchanges and queues of other programs as a sink, with publisher confirms."""

from collections.abc import Sequence
from zlib import crc32

from motet.core.event import Message
from motet.drivers.amqp import Channel, Frames, Link, Publisher, properties_of
from motet.transports.rabbitmq.topology import Topology


class ExchangeSink:
    """Publishes messages to one exchange, or to `count` queues by their keys.

    A message that no queue is bound for is an error: it would be dropped without a word.
    """

    def __init__(
        self,
        link: Link,
        exchange: str,
        *,
        routing_key: str = "",
        count: int = 0,
        topology: Topology | None = None,
    ) -> None:
        self._link = link
        self._publisher = Publisher(link)
        self._exchange = exchange
        self._routing_key = routing_key
        self._count = count  # queues ROUTING_KEY.0 and so on; 0: the routing key as it is
        self._topology = topology
        self._declared = False

    async def put(self, messages: Sequence[Message]) -> None:
        """Publish messages in order; every one is confirmed on return.

        Raises:
            Unavailable: the broker did not take them all; some may be published.
        """
        if not messages:
            return
        if self._topology is not None and not self._declared:
            channel = await self._link.channel()
            try:
                await self._topology.declare(channel)
            finally:
                await channel.close()
            self._declared = True

        def pack(channel: Channel) -> Frames:
            frames: list[bytes] = []
            routes: set[tuple[str, str]] = set()
            for message in messages:
                key = self._key(message)
                route = channel.route(self._exchange, key, properties_of(message))
                frames.append(route.pack(message.value or b""))
                routes.add((self._exchange, key))
            return frames, routes

        await self._publisher.publish(pack)

    def _key(self, message: Message) -> str:
        if not self._count:
            return self._routing_key
        return f"{self._routing_key}.{crc32(message.key) % self._count}"
