"""One idempotent producer: batches in, one future each out."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol, cast

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from motet.transports.kafka.errors import cause, translated
from motet.transports.kafka.messages import Outgoing
from motet.transports.kafka.options import Address

_IN_FLIGHT = 200_000  # messages handed over and not yet acknowledged, at most
_POLL_S = 0.1


class Failed(Exception):
    """Some of a batch were not appended; `error` is what the broker said of the first."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(error.str())
        self.error = error


def producer_settings(address: Address) -> dict[str, str | int | bool]:
    """Return librdkafka's settings for a producer: in order, once, on all copies."""
    return {
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 1,
        "batch.size": 1 << 20,
        "message.max.bytes": address.options.max_event_bytes + 65536,
        "message.timeout.ms": address.timeout_ms,
        "topic.metadata.propagation.max.ms": min(5000, address.timeout_ms),
        "queue.buffering.max.messages": 10 * _IN_FLIGHT,
        "queue.buffering.max.kbytes": 2_097_151,
        "socket.timeout.ms": max(1000, address.timeout_ms),
        "socket.connection.setup.timeout.ms": max(1000, address.timeout_ms),
        "reconnect.backoff.max.ms": 1000,
        **address.client,
    }


class Publisher:
    """Hands batches to librdkafka and waits for all their reports.

    What was handed over is sent, also if the caller is cancelled meanwhile.
    """

    def __init__(self, address: Address) -> None:
        try:
            self._producer = Producer(producer_settings(address))
        except KafkaException as err:
            raise translated(cause(err), doing="opening", servers=address.servers) from err
        self._stop = threading.Event()
        self._in_flight = 0
        self._turn = asyncio.Lock()
        self._space = asyncio.Event()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["Publisher"]:
        """Serve reports on a thread until the block is left."""
        thread = threading.Thread(target=self._serve, name="kafka/producer", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            await asyncio.to_thread(thread.join)

    async def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        """Append messages in order, each to its partition; durable on return.

        Raises:
            Failed: the broker did not take some of them.
        """
        if not messages:
            return
        async with self._turn:
            while self._in_flight and self._in_flight + len(messages) > _IN_FLIGHT:
                self._space.clear()
                await self._space.wait()
            # Nothing is awaited from here to the hand-over: cancelled before is none.
            self._in_flight += len(messages)
            delivery = Delivery(len(messages), self._landed)
            hand_over(self._producer, topic, messages, delivery)
        await asyncio.shield(delivery.done)
        if delivery.error is not None:
            raise Failed(delivery.error)

    def _landed(self, count: int) -> None:
        self._in_flight -= count
        self._space.set()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(_POLL_S)
        self._producer.flush(2.0)


class Delivery:
    """Counts the reports of one batch; they come on the producer's thread."""

    def __init__(self, count: int, landed: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.error: KafkaError | None = None  # the first
        self._count = self._left = count
        self._landed = landed

    def report(self, error: KafkaError | None, _message: KafkaMessage | None) -> None:
        """Note that one message was appended, or was not."""
        if error is not None and self.error is None:
            self.error = error
        self._left -= 1
        if not self._left:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._landed(self._count)
        if not self.done.done():
            self.done.set_result(None)


class Reports(Protocol):
    """What hears of each message once."""

    def report(self, error: KafkaError | None, _message: KafkaMessage | None) -> None:
        """Note that one message was appended, or was not."""
        ...


def hand_over(
    producer: Producer, topic: str, messages: Sequence[Outgoing], reports: Reports
) -> None:
    """Queue messages in librdkafka in order; each is reported once, whatever becomes of it."""
    if not any("headers" in message for message in messages):
        _hand_plain(producer, topic, list(messages), reports)
        return
    plain: list[Outgoing] = []
    for message in messages:
        if "headers" not in message:
            plain.append(message)
            continue
        _hand_plain(producer, topic, plain, reports)
        plain = []
        try:
            producer.produce(
                topic,
                message["value"],
                message["key"],
                message["partition"],
                on_delivery=reports.report,
                headers=list(message["headers"]),
            )
        except KafkaException as err:
            reports.report(cause(err), None)
        except BufferError as err:
            reports.report(KafkaError(KafkaError._QUEUE_FULL, str(err)), None)
    _hand_plain(producer, topic, plain, reports)


def _hand_plain(producer: Producer, topic: str, messages: list[Outgoing], reports: Reports) -> None:
    if not messages:
        return
    batch = cast("list[dict[str, object]]", messages)
    queued = producer.produce_batch(topic, batch, on_delivery=reports.report)
    if queued < len(messages):
        for message in batch:
            if (error := message.pop("_error", None)) is not None:
                reports.report(cast(KafkaError, error), None)
