"""Consume, produce and commit in one transaction.

What is ready at the same time goes into one transaction, whichever partitions it is of: a
transaction costs some round trips to the coordinator, however much is in it.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from motet.core.ports import Clock
from motet.transports.kafka.committing import Answer, answer
from motet.transports.kafka.errors import cause
from motet.transports.kafka.lease import Place
from motet.transports.kafka.messages import Outgoing
from motet.transports.kafka.options import Address
from motet.transports.kafka.producing import hand_over, producer_settings

_log = logging.getLogger(__name__)


class Work(msgspec.Struct):
    """What one step publishes, by topic, and the progress that belongs to it."""

    place: Place
    offset: int
    metadata: str
    messages: Sequence[tuple[str, Sequence[Outgoing]]]


class Transactor:
    """One transactional producer and its thread, for one member of a group.

    `member` returns the member's place in the group as librdkafka hands it out: a broker refuses
    the offsets of one that has been replaced.
    """

    def __init__(
        self, address: Address, *, name: str, member: Callable[[], object], clock: Clock
    ) -> None:
        self._settings = {
            **producer_settings(address),
            "transactional.id": name,
            "transaction.timeout.ms": address.timeout_ms,
        }
        self._timeout_s = address.options.timeout
        self._member = member
        self._clock = clock
        self._producer: Producer | None = None
        self._todo: list[tuple[Work, Answer]] = []
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"kafka/{name}", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    async def stop(self) -> None:
        """Finish what was begun, and return."""
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)

    async def commit(self, work: Work) -> KafkaError | None:
        """Carry out a step; None once all of it is committed, else why none of it is.

        A caller that is cancelled does not stop it.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[KafkaError | None] = loop.create_future()
        self._todo.append((work, answer(loop, future)))
        self._wake.set()
        return await future

    # On the thread.

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            todo, self._todo = self._todo, []
            if todo:
                error = self._settle([work for work, _ in todo])
                for _, tell in todo:
                    tell(error)
        gone = KafkaError(KafkaError._DESTROY, "the subscription was left")
        for _, tell in self._todo:
            tell(gone)

    def _settle(self, works: Sequence[Work]) -> KafkaError | None:
        try:
            if self._producer is None:
                self._producer = Producer(self._settings)
                self._producer.init_transactions(self._timeout_s)
            self._transact(self._producer, works)
        except KafkaException as err:
            return self._undo(cause(err))
        except RuntimeError as err:  # confluent-kafka's word for a call in a wrong state
            self._producer = None
            return KafkaError(KafkaError._STATE, str(err))
        return None

    def _transact(self, producer: Producer, works: Sequence[Work]) -> None:
        failures = _Failures()
        producer.begin_transaction()
        for work in works:
            for topic, messages in work.messages:
                hand_over(producer, topic, messages, failures)
        if failures.first is not None:
            raise KafkaException(failures.first)
        offsets = {work.place: work for work in works}
        self._patiently(
            lambda wait_s: producer.send_offsets_to_transaction(
                [
                    TopicPartition(topic, index, work.offset, metadata=work.metadata)
                    for (topic, index), work in offsets.items()
                ],
                self._member(),
                wait_s,
            )
        )
        self._patiently(producer.commit_transaction)
        # What the broker says of each message comes with the commit: it fails if one did.
        if failures.first is not None:
            raise KafkaException(failures.first)

    def _patiently(self, call: Callable[[float], object]) -> None:
        end_s = self._clock.monotonic_s() + self._timeout_s
        while True:
            try:
                call(max(1.0, end_s - self._clock.monotonic_s()))
            except KafkaException as err:
                if not cause(err).retriable() or self._clock.monotonic_s() >= end_s:
                    raise
            else:
                return

    def _undo(self, error: KafkaError) -> KafkaError:
        """Take back what was begun; a producer that cannot is replaced, which does the same."""
        _log.debug("kafka.abort", extra={"error": error.str()})
        producer, self._producer = self._producer, None
        if producer is not None and error.txn_requires_abort() and not error.fatal():
            with suppress(KafkaException):
                self._patiently(producer.abort_transaction)
                self._producer = producer
        if producer is not None and self._producer is None:
            producer.purge()
        return error


class _Failures:
    """The first of a transaction's messages that was not appended."""

    def __init__(self) -> None:
        self.first: KafkaError | None = None

    def report(self, error: KafkaError | None, _message: KafkaMessage | None) -> None:
        """Note what became of one message."""
        if error is not None and self.first is None:
            self.first = error
