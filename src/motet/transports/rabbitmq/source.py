"""Queues of other programs as a source: taken, and acknowledged once durable elsewhere."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice

import msgspec

from motet.core.errors import ConfigError
from motet.core.event import Headers, Message
from motet.core.ports import Clock, Taken
from motet.drivers.amqp import Channel, Delivery, Link, message_of
from motet.transports.rabbitmq.queue_options import parse_queues
from motet.transports.rabbitmq.topology import Topology

ATTEMPTS = "x-motet-attempts"
"""Header that is added to what was delivered before: how many times, this one included."""

_DEATHS = "x-death"
_COUNT = "x-delivery-count"


class _Taken(msgspec.Struct, frozen=True):
    channel: Channel
    tag: int


class QueueSource:
    """Takes from one or several queues; conforms to `ports.Source`.

    At least once: what was not `done` when a connection is lost comes again, to whoever takes
    next. With queues of a single active consumer each queue's order is kept.
    """

    lossy = False

    def __init__(
        self,
        link: Link,
        queues: Sequence[str],
        *,
        topology: Topology | None = None,
        prefetch: int = 500,
    ) -> None:
        self._link = link
        self._queues = tuple(queues)
        self._topology = topology
        self._prefetch = prefetch
        self._channel: Channel | None = None
        self._buffer: deque[tuple[str, _Taken, Delivery]] = deque()
        self._open: dict[str, _Taken] = {}  # given, and not done
        self._count = 0
        self._ended = False
        self._bell = asyncio.Event()

    async def take(self, *, max_messages: int, max_wait_s: float) -> Sequence[Taken]:
        """Return what has come, at most `max_messages`; nothing after `max_wait_s`."""
        await self._consuming()
        if not self._buffer:
            self._bell.clear()
            try:
                async with asyncio.timeout(max_wait_s):
                    await self._bell.wait()
            except TimeoutError:
                return ()
        # Nothing is awaited from here on: what is not returned is not taken.
        return [
            self._given(*self._buffer.popleft())
            for _ in range(min(max_messages, len(self._buffer)))
        ]

    async def done(self, taken: Sequence[Taken]) -> None:
        """Acknowledge them. What came over a connection that is lost will come again."""
        ids = {each.id for each in taken}
        oldest = list(islice(self._open, len(ids)))
        if oldest and ids == set(oldest):  # as a rule: one frame does for all of them
            last = self._open[oldest[-1]]
            last.channel.ack(last.tag, multiple=True)
            for each_id in oldest:
                del self._open[each_id]
            return
        for each in taken:
            known = self._open.pop(each.id or "", None)
            if known is not None:
                known.channel.ack(known.tag)

    async def refuse(self, taken: Sequence[Taken], *, requeue: bool = False) -> None:
        """Give them up: to the queue's dead-letter exchange, or back to the queue."""
        for each in taken:
            known = self._open.pop(each.id or "", None)
            if known is not None:
                known.channel.reject(known.tag, requeue=requeue)

    async def _consuming(self) -> None:
        if self._channel is not None:
            if self._channel.error is None and not self._ended:
                return
            await self._channel.close()
        self._buffer.clear()
        self._open.clear()
        self._ended = False
        channel = await self._link.channel()
        if self._topology is not None:
            await self._topology.declare(channel)
        for queue in self._queues:

            def on_delivery(delivery: Delivery | None, queue: str = queue) -> None:
                if delivery is not None:
                    self._buffer.append((queue, _Taken(channel, delivery.tag), delivery))
                elif channel.error is None:  # the queue was deleted: begin anew
                    self._ended = True
                self._bell.set()

            await channel.consume(queue, on_delivery, prefetch=self._prefetch)
        self._channel = channel

    def _given(self, queue: str, taken: _Taken, delivery: Delivery) -> Taken:
        self._count += 1
        id_ = f"{queue}/{self._count}"
        self._open[id_] = taken
        return Taken(queue, _marked(delivery), id_)


def attempts(delivery: Delivery) -> int:
    """Return how many times a message was delivered, this time included, as far as is known.

    A quorum queue counts redeliveries in `x-delivery-count`; each pass through a dead-letter
    exchange is counted in `x-death`.
    """
    headers = delivery.properties.headers or {}
    count = headers.get(_COUNT)
    known = count if isinstance(count, int) else int(delivery.redelivered)
    deaths = headers.get(_DEATHS)
    if isinstance(deaths, list):
        for death in deaths:
            passed = death.get("count") if isinstance(death, dict) else None
            known += passed if isinstance(passed, int) else 0
    return 1 + known


def _marked(delivery: Delivery) -> Message:
    message = message_of(delivery)
    count = attempts(delivery)
    if count == 1:
        return message
    headers: Headers = (*message.headers, (ATTEMPTS, str(count).encode()))
    return msgspec.structs.replace(message, headers=headers)


@asynccontextmanager
async def open_source(url: str, clock: Clock) -> AsyncIterator[QueueSource]:
    """Open the queues that `rabbitmq://HOST?queue=NAME` names.

    Raises:
        ConfigError: the URL is none, or the broker refuses who it names.
        Unavailable: the broker does not answer.
    """
    named = parse_queues(url)
    if not named.queues:
        raise ConfigError("rabbitmq://HOST?queue=NAME: which queue?")
    link = Link(named.address, clock, name="motet source")
    try:
        await link.connection()
        yield QueueSource(link, named.queues, topology=named.topology, prefetch=named.prefetch)
    finally:
        await link.close()
