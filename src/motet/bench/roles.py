"""The two processes of the pipeline benchmark: one publishes, one handles.

In the measured path: building and encoding events, appending them with deduplication by id,
reading, decoding, routing on type, a handler that returns one event, deriving its id, encoding,
and one durable commit of output and progress. Not in it: starting Python, opening the file.

Run as `python -m motet.bench.roles ROLE URL SETTINGS`; `pipeline.py` does.
"""

import asyncio
import sys
import time
from collections.abc import Sequence

import msgspec

from motet.app import App
from motet.backends import connect
from motet.bench.child import Result, go, report
from motet.bench.load import PipelineLoad
from motet.core.clock import SystemClock, format_time
from motet.core.event import Event
from motet.core.ids import IdSource
from motet.core.outcome import Commit
from motet.core.ports import Store, Transport
from motet.handlers import Draft, emit

TYPES = ("order.created", "order.changed", "order.paid", "order.shipped")
_SAMPLES = 10_000  # latencies kept of a run, about
_UNDER_WAY = 4  # publishes that wait for the disk at once


class Order(msgspec.Struct):
    """The payload: what is handled, and when it was to be sent."""

    order: int
    customer: str
    at_us: int
    note: str = ""


def make_app() -> App:
    """Four handlers, one per event type, each emitting one event."""
    app = App("bench")

    def declare(event_type: str) -> None:
        @app.on("bench-in", event_type, name=event_type.replace(".", "-"))
        def handle(order: Order) -> Draft:
            return emit("bench-out", order, type=event_type + ".handled")

    for event_type in TYPES:
        declare(event_type)
    return app


async def publish(transport: Transport, load: PipelineLoad) -> None:
    """Publish all events in batches; paced by `rate_per_s`, each stamped with when it was due.

    The next batch is built while those before it are on their way to the disk, as a server's
    requests are; each publish is durable when it returns.
    """
    clock = SystemClock()
    room = asyncio.Semaphore(_UNDER_WAY)

    async def send(events: Sequence[Event]) -> None:
        await transport.publish("bench-in", events)
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


class TimedStore:
    """A store that notes, after each commit, how old a sample of its events is."""

    def __init__(self, inner: Store, wanted: int) -> None:
        self._inner = inner
        self._clock = SystemClock()
        self._wanted = wanted
        self._every = max(1, wanted // _SAMPLES)
        self._decode = msgspec.json.Decoder(Order).decode
        self.outbox = inner.outbox
        self.dead_letters = inner.dead_letters
        self.streams = inner.streams
        self.state = inner.state
        self.progress = inner.progress
        self.parked = inner.parked
        self.handled = inner.handled
        self.groups = inner.groups
        self.all_done = asyncio.Event()
        self.latencies_us: list[int] = []
        self.ended_ns = 0

    async def commit(self, commit: Commit) -> None:
        """Commit, then take the time."""
        await self._inner.commit(commit)
        now_us = self._clock.now_us()
        for outcome in commit.outcomes:
            self._wanted -= len(outcome.emits)
            self.latencies_us += [
                now_us - self._decode(emit.event.data).at_us
                for emit in outcome.emits[:: self._every]
            ]
        if self._wanted <= 0:
            self.ended_ns = time.monotonic_ns()
            self.all_done.set()


async def main(role: str, url: str, settings: str) -> None:
    """Play one role and report when it began and ended."""
    load = msgspec.json.decode(settings, type=PipelineLoad)
    async with connect(url) as backends:
        if role == "publish":
            before_s = go()
            began_ns = time.monotonic_ns()
            await publish(backends.transport, load)
            report(Result(began_ns=began_ns, ended_ns=time.monotonic_ns()), before_s=before_s)
            return
        store = TimedStore(backends.store, load.events)
        before_s = go()
        began_ns = time.monotonic_ns()
        async with make_app().run(backends.transport, store):
            await store.all_done.wait()
        report(
            Result(
                began_ns=began_ns, ended_ns=store.ended_ns, latencies_us=sorted(store.latencies_us)
            ),
            before_s=before_s,
        )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
