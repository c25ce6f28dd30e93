"""The work of the benchmarks: events of four types, and four handlers that emit one event each."""

import asyncio
from collections.abc import Sequence

import msgspec

from motet.app import App
from motet.bench.load import PipelineLoad
from motet.core.clock import SystemClock, format_time
from motet.core.codec import encode
from motet.core.event import Event
from motet.core.ids import IdSource
from motet.core.outcome import Outcome
from motet.core.ports import Transport
from motet.handlers import DeliveryMode, Draft, emit

TYPES = ("order.created", "order.changed", "order.paid", "order.shipped")
_SAMPLES = 10_000  # latencies kept of a run, about
_UNDER_WAY = 4  # publishes that wait for the disk at once
_PACED = 64  # the same where a pace is kept: it must not wait for them
_DISTINCT = 20_000  # events built for those who publish bytes; then again from the first


class Order(msgspec.Struct):
    """The payload: what is handled, and when it was to be sent."""

    order: int
    customer: str
    at_us: int
    note: str = ""


def make_app(
    source: str, sink: str, *, name: str = "bench", delivery: DeliveryMode = "store"
) -> App:
    """Four handlers, one per event type, each emitting one event; `name` is the group's."""
    app = App(name)

    def declare(event_type: str) -> None:
        @app.on(source, event_type, name=event_type.replace(".", "-"), delivery=delivery)
        def handle(order: Order) -> Draft:
            return emit(sink, order, type=event_type + ".handled")

    for event_type in TYPES:
        declare(event_type)
    return app


async def publish(transport: Transport, topic: str, load: PipelineLoad) -> None:
    """Publish all events in batches; paced by `rate_per_s`, each stamped with when it was due.

    The next batch is built while those before it are on their way to the disk, as a server's
    requests are; each publish is durable when it returns.
    """
    clock = SystemClock()
    room = asyncio.Semaphore(_PACED if load.rate_per_s else _UNDER_WAY)

    async def send(events: Sequence[Event]) -> None:
        await transport.publish(topic, events)
        room.release()

    ids = IdSource(clock)
    began_us = clock.now_us()
    async with asyncio.TaskGroup() as tasks:
        for start in range(0, load.events, load.batch):
            size = min(load.batch, load.events - start)
            due_us = clock.now_us()
            if load.rate_per_s:
                due_us = began_us + int((start + size) / load.rate_per_s * 1e6)
                await clock.sleep(max(0.0, (due_us - clock.now_us()) / 1e6))
            await room.acquire()
            tasks.create_task(send(_events(ids, load, start, size, due_us)), name="publish")


def _events(
    ids: IdSource, load: PipelineLoad, start: int, size: int, due_us: int
) -> Sequence[Event]:
    note = "x" * max(0, load.size_bytes - 290)  # the rest of the envelope and payload
    at = format_time(due_us)
    encode = msgspec.json.Encoder().encode
    return [
        Event(
            id=ids.next(),
            type=TYPES[n % len(TYPES)],
            time=at,
            key=(customer := f"customer-{n % load.keys}"),
            source="/bench",
            correlation_id="0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
            data=msgspec.Raw(encode(Order(n, customer, due_us, note))),
        )
        for n in range(start, start + size)
    ]


def encoded(load: PipelineLoad) -> list[tuple[bytes, bytes]]:
    """Return all events as keys and bytes, ready to be sent; far apart ones may be the same."""
    ids, clock = IdSource(SystemClock()), SystemClock()
    distinct = _events(ids, load, 0, min(load.events, _DISTINCT), clock.now_us())
    pairs = [(event.key.encode(), encode(event)) for event in distinct]
    return (pairs * (load.events // len(pairs) + 1))[: load.events]


class Ages:
    """How old a sample of events is when what they led to is durable."""

    def __init__(self, wanted: int) -> None:
        self._clock = SystemClock()
        self._every = max(1, wanted // _SAMPLES)
        self._decode = msgspec.json.Decoder(Order).decode
        self.latencies_us: list[int] = []

    def note(self, events: Sequence[Event]) -> None:
        """Note the ages of a sample of events emitted together."""
        now_us = self._clock.now_us()
        self.latencies_us += [
            now_us - self._decode(event.data).at_us for event in events[:: self._every]
        ]


def emitted(outcomes: Sequence[Outcome]) -> list[Event]:
    """Return what outcomes emit, in order."""
    return [emit.event for outcome in outcomes for emit in outcome.emits]
