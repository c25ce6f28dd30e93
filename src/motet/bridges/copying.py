"""The processor of a bridge: a batch of events becomes the copies to be published."""

from collections.abc import Iterable

from motet.bridges.picking import Picker
from motet.core.errors import HandlerError
from motet.core.event import Batch, Record
from motet.core.outcome import Emit, Failure, Outcome
from motet.core.ports import Concurrency, StateReader


class Copied(Emit, frozen=True, gc=False, kw_only=True):
    """An event for the target, and what it was read as."""

    record: Record


class Copying:
    """Emits the events that a `Picker` lets pass; conforms to `ports.Processor`."""

    concurrency = Concurrency.BATCH
    parks = True  # what is redriven goes before later events of its key

    def __init__(
        self, name: str, topics: Iterable[str], picker: Picker, *, to_topic: str | None = None
    ) -> None:
        self.name = name
        self.topics = frozenset(topics)
        self._picker = picker
        self._to_topic = to_topic

    async def process(self, batch: Batch, state: StateReader, *, now_us: int) -> Outcome:
        """Return the copies. An event that an expression fails on is a dead letter."""
        topic = self._to_topic or batch.partition.topic
        emits: list[Emit] = []
        failures: list[Failure] = []
        for record in batch.records:
            try:
                copy = self._picker.copy(record.event)
            except HandlerError as err:
                failures.append(Failure(record, err))
                continue
            if copy is not None:
                emits.append(Copied(topic, copy, record=record))
        return Outcome(emits=tuple(emits), failures=tuple(failures))
