"""One member of a consumer group: a librdkafka consumer and the thread that alone calls it.

confluent-kafka's consumer must not be called from two threads: the second call waits, and may
wait for ever. So everything goes through this thread, in cycles of a few milliseconds.

A partition is assigned to the client only when the runtime has said where to read on. To hold
one back whose buffer is full it is unassigned again: `pause` and `resume` take a second to
take effect where nothing else is being fetched.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from motet.core.ports import Clock
from motet.transports.kafka.committing import Commits, Wanted
from motet.transports.kafka.lease import Chunk, KafkaLease, Place
from motet.transports.kafka.options import Address

_MOST = 2000  # messages taken from librdkafka at once
_BUFFER_BYTES = 64 << 20  # over all leases
_BUFFER_CHUNKS = 1000  # of one lease
_HOLD_S = 0.2  # how long one full buffer holds back all, before it is set aside
_BUSY_S, _IDLE_S = 0.002, 0.02  # wait for messages in a cycle
_PROBE_S = 2.0  # for a look whether a broker is back, and between two

_log = logging.getLogger(__name__)


class Member(Protocol):
    """What hears of leases and of what was fetched; called on the event loop."""

    def lease(self, place: Place) -> KafkaLease:
        """Return a new lease, not handed out yet; called on the consumer's thread."""
        ...

    def hand(self, leases: Sequence[KafkaLease]) -> None:
        """Hand leases out."""
        ...

    def revoke(self, leases: Sequence[KafkaLease]) -> None:
        """Let nothing more be fetched from leases."""
        ...

    def lose(self, leases: Sequence[KafkaLease]) -> None:
        """Take leases away."""
        ...

    def deliver(self, chunks: Sequence[tuple[KafkaLease, Chunk]]) -> None:
        """Give what was fetched."""
        ...

    def end(self) -> None:
        """Have the group joined anew: the consumer is gone."""
        ...

    def ring(self) -> None:
        """Let who waits look again."""
        ...


class _Reading(msgspec.Struct, gc=False):
    """How far the client has read for a lease."""

    lease: KafkaLease
    epoch: int = 0
    next: int = 0
    assigned: bool = False  # to the client, which fetches
    sent: int = 0  # chunks of this epoch
    sent_bytes: int = 0


def consumer_settings(address: Address, group: str) -> dict[str, object]:
    """Return librdkafka's settings for a member of a group."""
    session_ms = round(address.options.session_timeout * 1000)
    return {
        **reader_settings(address),
        "group.id": group,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": max(100, min(1000, session_ms // 4)),
        "topic.metadata.refresh.interval.ms": 1000,
        **address.client,
    }


def reader_settings(address: Address) -> dict[str, object]:
    """Return librdkafka's settings for reading."""
    return {
        "group.id": "motet",  # required, and not used without a subscription
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,  # says where a reader is behind markers and gaps
        "fetch.wait.max.ms": 100,
        "fetch.message.max.bytes": 1 << 20,
        "queued.min.messages": 20_000,
        "queued.max.messages.kbytes": 16_384,
        "socket.timeout.ms": max(1000, address.timeout_ms),
        "socket.connection.setup.timeout.ms": max(1000, address.timeout_ms),
        "reconnect.backoff.max.ms": 1000,
        **address.client,
    }


class GroupConsumer:
    """A member of a group at work on its thread; conforms to `lease.Intake`."""

    def __init__(
        self, address: Address, topics: Collection[str], *, group: str, member: Member, clock: Clock
    ) -> None:
        self._settings = consumer_settings(address, group) | {
            "on_commit": self._on_commit,
            "error_cb": self._on_error,
        }
        self._drain_s = address.options.session_timeout / 2
        self._servers = address.servers
        self._topics = list(topics)
        self._group = group
        self._member = member
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[KafkaException | None] = self._loop.create_future()
        self._stopping = False
        self._todo: deque[Callable[[Consumer], None]] = deque()
        self._offsets: deque[tuple[Place, Wanted]] = deque()
        self._commits = Commits()
        self._readings: dict[Place, _Reading] = {}
        self._wake = threading.Event()
        self._full_since_s: float | None = None
        self._down = ""
        self._next_probe_s = 0.0
        self._place_in_group: object = None
        self._rebalanced = True
        self._thread = threading.Thread(target=self._run, name=f"kafka/{group}", daemon=True)

    # On the event loop.

    async def start(self) -> None:
        """Join the group.

        Raises:
            KafkaException: a setting is refused.
        """
        self._thread.start()
        if (error := await self._started) is not None:
            raise error

    async def stop(self) -> None:
        """Leave the group, and return when it is left."""
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)

    def read_from(self, lease: KafkaLease, offset: int) -> None:
        """Begin, or begin anew, at an offset."""
        self._todo.append(partial(self._seek, lease, lease.epoch, offset))
        self._wake.set()

    def acked(self, lease: KafkaLease, next_offset: int) -> None:
        """Tell the broker, some time soon, that all below is done."""
        self._offsets.append((lease.place, Wanted(next_offset)))

    def commit(self, lease: KafkaLease, wanted: Wanted) -> None:
        """Tell the broker now; `wanted.answers` are called on the consumer's thread."""
        self._offsets.append((lease.place, wanted))
        self._wake.set()

    def trouble(self) -> str:
        """Why nothing can be fetched at present; empty when all is well."""
        return self._down

    def place_in_group(self) -> object:
        """Member and generation, as librdkafka hands them to a transactional producer."""
        return self._place_in_group

    # On the thread.

    def _run(self) -> None:
        try:
            consumer = Consumer(self._settings)
            consumer.subscribe(
                self._topics,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
        except KafkaException as err:
            self._tell(self._started.set_result, err)
            return
        self._tell(self._started.set_result, None)
        try:
            while not self._stopping:
                self._cycle(consumer)
            self._gather()
            self._commits.send_now(consumer, self._now_s)
        finally:
            if not self._stopping:  # by an error that nobody foresaw, which the thread prints
                self._tell(self._member.end)
            self._commits.fail(KafkaError(KafkaError._DESTROY, "the subscription was left"))
            consumer.close()

    def _cycle(self, consumer: Consumer) -> None:
        while self._todo:
            self._todo.popleft()(consumer)
        self._gather()
        self._commits.send(consumer, self._now_s)
        if self._rebalanced:
            self._look_up(consumer)
        if self._down:
            self._probe(consumer)
        if self._held_back(consumer):
            self._wake.wait(_BUSY_S)
            self._wake.clear()
            return
        first = consumer.poll(_BUSY_S if self._busy() else _IDLE_S)
        if first is not None:
            self._deliver([first, *consumer.consume(_MOST - 1, 0)])

    @property
    def _now_s(self) -> float:
        return self._clock.monotonic_s()

    def _tell(self, call: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(call, *args)

    def _gather(self) -> None:
        while self._offsets:
            self._commits.want(*self._offsets.popleft())

    def _busy(self) -> bool:
        return self._commits.awaited or any(
            not each.lease.drained or each.sent > each.lease.taken
            for each in self._readings.values()
        )

    def _held_back(self, consumer: Consumer) -> bool:
        """Whether to wait until buffers are emptied; sets aside those that are not in time."""
        share = _BUFFER_BYTES // max(1, len(self._readings))
        full = []
        for reading in self._readings.values():
            chunks = reading.sent - reading.lease.taken
            size = reading.sent_bytes - reading.lease.taken_bytes
            if reading.assigned and (chunks >= _BUFFER_CHUNKS or size >= share):
                full.append(reading)
            elif not reading.assigned and reading.epoch and 4 * size <= share and chunks < 100:
                self._assign(consumer, reading)
        if not full:
            self._full_since_s = None
            return False
        if self._full_since_s is None:
            self._full_since_s = self._now_s
        if self._now_s - self._full_since_s < _HOLD_S:
            return True
        for reading in full:
            self._unassign(consumer, [reading])
        return False

    def _deliver(self, messages: Sequence[KafkaMessage]) -> None:
        by_place: dict[Place, list[KafkaMessage]] = {}
        ends: dict[Place, int] = {}
        for message in messages:
            if (error := message.error()) is None:
                place = (message.topic() or "", message.partition() or 0)
                try:
                    by_place[place].append(message)
                except KeyError:
                    by_place[place] = [message]
            elif error.code() == KafkaError._PARTITION_EOF:
                ends[message.topic() or "", message.partition() or 0] = message.offset() or 0
            else:
                _log.debug("kafka.consumer", extra={"group": self._group, "error": error.str()})
        chunks = []
        for place in by_place.keys() | ends.keys():
            reading = self._readings.get(place)
            if reading is not None and reading.assigned:
                chunk = _chunk(reading, by_place.get(place, []), ends.get(place, 0))
                if chunk is not None:
                    chunks.append((reading.lease, chunk))
        if chunks:
            self._tell(self._member.deliver, chunks)

    def _seek(self, lease: KafkaLease, epoch: int, offset: int, consumer: Consumer) -> None:
        reading = self._readings.get(lease.place)
        if reading is None or reading.lease is not lease:
            return  # lost meanwhile
        self._unassign(consumer, [reading])
        reading.epoch, reading.next = epoch, offset
        reading.sent = reading.sent_bytes = 0
        self._assign(consumer, reading)

    def _assign(self, consumer: Consumer, reading: _Reading) -> None:
        topic, index = reading.lease.place
        try:
            consumer.incremental_assign([TopicPartition(topic, index, reading.next)])
        except KafkaException as err:
            _log.warning("kafka.assign", extra={"group": self._group, "error": str(err)})
        else:
            reading.assigned = True

    def _unassign(self, consumer: Consumer, readings: Collection[_Reading]) -> None:
        assigned = [each for each in readings if each.assigned]
        if not assigned:
            return
        try:
            consumer.incremental_unassign([TopicPartition(*each.lease.place) for each in assigned])
        except KafkaException as err:
            _log.warning("kafka.unassign", extra={"group": self._group, "error": str(err)})
        for reading in assigned:
            reading.assigned = False

    def _look_up(self, consumer: Consumer) -> None:
        self._rebalanced = False
        self._place_in_group = consumer.consumer_group_metadata()

    def _probe(self, consumer: Consumer) -> None:
        if self._now_s < self._next_probe_s:
            return
        try:
            consumer.list_topics(self._topics[0], timeout=_PROBE_S)
        except KafkaException:
            self._next_probe_s = self._now_s + _PROBE_S
        else:
            self._down = ""
            self._tell(self._member.ring)

    # Called by librdkafka, in `poll`, `consume`, `close`.

    def _on_assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._look_up(consumer)
        leases = []
        for each in partitions:
            place = (each.topic, each.partition)
            lease = self._member.lease(place)
            self._readings[place] = _Reading(lease)
            leases.append(lease)
        consumer.incremental_assign([])  # reading begins when the runtime says where
        self._tell(self._member.hand, leases)

    def _on_revoke(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._look_up(consumer)
        readings = self._given_up(partitions)
        leases = [each.lease for each in readings]
        self._tell(self._member.revoke, leases)
        end_s = self._now_s + self._drain_s
        while not self._stopping and self._now_s < end_s:
            self._gather()
            self._commits.send_now(consumer, self._now_s)
            if all(lease.revoked and lease.drained for lease in leases):
                break
            self._wake.wait(_BUSY_S)
            self._wake.clear()
        self._gather()
        self._commits.send_now(consumer, self._now_s)
        self._release(consumer, readings)

    def _on_lost(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._rebalanced = True
        _log.warning("kafka.lost", extra={"group": self._group, "partitions": len(partitions)})
        self._release(consumer, self._given_up(partitions))

    def _given_up(self, partitions: Sequence[TopicPartition]) -> list[_Reading]:
        places = [(each.topic, each.partition) for each in partitions]
        return [self._readings[place] for place in places if place in self._readings]

    def _release(self, consumer: Consumer, readings: Sequence[_Reading]) -> None:
        for reading in readings:
            del self._readings[reading.lease.place]
        self._unassign(consumer, readings)
        self._tell(self._member.lose, [each.lease for each in readings])

    def _on_commit(self, error: KafkaError | None, offsets: Sequence[TopicPartition]) -> None:
        self._commits.answered(error, offsets, self._now_s)

    def _on_error(self, error: KafkaError) -> None:
        _log.debug("kafka.error", extra={"group": self._group, "error": error.str()})
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._down:
            self._down = f"no Kafka broker answers at {self._servers}: is it running?"
            self._tell(self._member.ring)


def _chunk(reading: _Reading, messages: list[KafkaMessage], eof: int) -> Chunk | None:
    """Return what came for a lease, counted; None where it moves nothing."""
    if messages and (messages[0].offset() or 0) < reading.next:
        messages = [each for each in messages if (each.offset() or 0) >= reading.next]
    end = max(eof, (messages[-1].offset() or 0) + 1 if messages else 0)
    if end <= reading.next:
        return None
    size = sum(map(len, messages)) + 256 * len(messages)
    reading.next = end
    reading.sent += 1
    reading.sent_bytes += size
    return Chunk(reading.lease.place, reading.epoch, messages, end, size)
