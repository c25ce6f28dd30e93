"""Committed offsets: gathered, sent one request at a time, answered one by one."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from motet.transports.kafka.errors import cause
from motet.transports.kafka.lease import Place

Answer = Callable[[KafkaError | None], None]

_ACKS_S = 0.5  # between two commits of what was only acknowledged
_AGAIN = frozenset({KafkaError.REBALANCE_IN_PROGRESS, KafkaError.COORDINATOR_LOAD_IN_PROGRESS})


class Wanted(msgspec.Struct):
    """An offset to commit, and who waits for it."""

    offset: int
    metadata: str = ""
    answers: list[Answer] = []


def answer(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[KafkaError | None]") -> Answer:
    """Return what sets a future's result from another thread."""

    def settle(error: KafkaError | None) -> None:
        if not future.done():
            future.set_result(error)

    def tell(error: KafkaError | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    return tell


class Commits:
    """What a consumer has to commit. Lives on the consumer's thread."""

    def __init__(self) -> None:
        self._wanted: dict[Place, Wanted] = {}
        self._flying: dict[Place, Wanted] = {}
        self._next_acks_s = 0.0
        self._again_s = 0.0

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for an answer."""
        return any(each.answers for each in (*self._wanted.values(), *self._flying.values()))

    def want(self, place: Place, wanted: Wanted) -> None:
        """Take an offset to commit; it replaces an earlier one of its partition."""
        before = self._wanted.get(place)
        if before is not None:
            wanted.answers = [*before.answers, *wanted.answers]
        self._wanted[place] = wanted

    def send(self, consumer: Consumer, now_s: float) -> None:
        """Ask the broker, unless an earlier request is under way or nothing is due."""
        if self._flying or not self._wanted or now_s < self._again_s:
            return
        if not self.awaited and now_s < self._next_acks_s:
            return
        self._next_acks_s = now_s + _ACKS_S
        self._again_s = 0.0
        self._flying, self._wanted = self._wanted, {}
        try:
            consumer.commit(offsets=_offsets(self._flying), asynchronous=True)
        except KafkaException as err:
            self._finish(cause(err), now_s)

    def send_now(self, consumer: Consumer, now_s: float) -> None:
        """Ask the broker and wait for its answer, with what is under way once more."""
        for place, wanted in self._flying.items():
            if (later := self._wanted.get(place)) is None:
                self._wanted[place] = wanted
            else:
                later.answers = [*wanted.answers, *later.answers]
        self._flying, self._wanted = self._wanted, {}
        if not self._flying:
            return
        try:
            error = None
            consumer.commit(offsets=_offsets(self._flying), asynchronous=False)
        except KafkaException as err:
            error = cause(err)
        self._finish(error, now_s)

    def answered(
        self, error: KafkaError | None, offsets: Sequence[TopicPartition], now_s: float
    ) -> None:
        """Take the broker's answer, if it is one to what is under way."""
        came = {(each.topic, each.partition): each.offset for each in offsets}
        if came == {place: each.offset for place, each in self._flying.items()}:
            self._finish(error, now_s, {(o.topic, o.partition): o.error for o in offsets})

    def fail(self, error: KafkaError) -> None:
        """Tell everybody who waits that it will not be."""
        for wanted in (*self._flying.values(), *self._wanted.values()):
            for tell in wanted.answers:
                tell(error)
        self._flying, self._wanted = {}, {}

    def _finish(
        self,
        error: KafkaError | None,
        now_s: float,
        single: dict[Place, KafkaError | None] | None = None,
    ) -> None:
        flying, self._flying = self._flying, {}
        if error is not None and error.code() in _AGAIN:
            self._again_s = now_s + 0.05
            for place, wanted in flying.items():
                later = self._wanted.get(place)
                self._wanted[place] = wanted if later is None else later
                if later is not None:
                    later.answers = [*wanted.answers, *later.answers]
            return
        for place, wanted in flying.items():
            for tell in wanted.answers:
                tell(error or (single or {}).get(place))


def _offsets(wanted: dict[Place, Wanted]) -> list[TopicPartition]:
    return [
        TopicPartition(topic, index, each.offset, metadata=each.metadata)
        for (topic, index), each in wanted.items()
    ]
