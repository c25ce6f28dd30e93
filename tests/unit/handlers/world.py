"""What a processor needs around it: events, kept state, and a way to run a batch."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from motet.core.errors import WrongVersion
from motet.core.event import Batch, Event, Partition, Record
from motet.core.outcome import Outcome, Put
from motet.core.ports import Processor, Versioned
from motet.core.schemas import event
from motet.handlers import Handlers
from motet.testing.events import make_event

NOW_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


@event("order.created")
class OrderCreated(msgspec.Struct, frozen=True):
    order_id: str
    total: float = 0.0


@event("stock.checked", version=2)
class StockChecked(msgspec.Struct, frozen=True):
    order_id: str


class Kept:
    """State values with versions, as a store keeps them."""

    def __init__(self) -> None:
        self.values: dict[str, Versioned] = {}
        self.reads: list[set[str]] = []

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Versioned]:
        self.reads.append(set(keys))
        return {key: self.values[key] for key in keys if key in self.values}

    def apply(self, puts: Iterable[Put]) -> None:
        for put in puts:
            found = self.values[put.key].version if put.key in self.values else 0
            if found != put.expected:
                raise WrongVersion(put.key, expected=put.expected, found=found)
            if put.value is None:
                self.values.pop(put.key, None)
            else:
                self.values[put.key] = Versioned(put.value, found + 1)

    def json(self) -> dict[str, object]:
        return {key: msgspec.json.decode(found.value) for key, found in self.values.items()}


def order(number: int, *, key: str = "k", total: float = 0.0) -> Event:
    """An `order.created`."""
    data = {"order_id": f"o{number}", "total": total}
    return make_event(number, key=key, type="order.created", data=data)


def one(app: Handlers) -> Processor:
    """The processor of an app with one group."""
    (compiled,) = app.compile()
    return compiled.processor


def declared(
    function: Callable[..., object], topic: str = "orders", **options: object
) -> Processor:
    """The processor of one handler."""
    app = Handlers("shop")
    app.on(topic, **options)(function)
    return one(app)


def records(events: Sequence[Event], *, attempt: int = 1) -> tuple[Record, ...]:
    return tuple(Record(event, offset, attempt) for offset, event in enumerate(events))


async def run(
    processor: Processor,
    *events: Event,
    kept: Kept | None = None,
    topic: str = "orders",
    attempt: int = 1,
    now_us: int = NOW_US,
) -> Outcome:
    """Handle events as one batch; what they put is kept."""
    kept = Kept() if kept is None else kept
    batch = Batch(Partition(topic, 0), records(events, attempt=attempt), (), len(events))
    outcome = await processor.process(batch, kept, now_us=now_us)
    kept.apply(outcome.puts)
    return outcome


def failed(outcome: Outcome) -> list[tuple[str, str]]:
    """Ids of what failed, and why; "" for what waits behind another."""
    return [
        (failure.record.event.id, str(failure.error) if failure.error else "")
        for failure in outcome.failures
    ]
