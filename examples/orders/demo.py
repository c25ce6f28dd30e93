"""`motet demo`: the order pipeline at work in the current folder.

One process feeds the orders in, runs every service and serves the API. What is done is in
`.motet/demo.db`; killed at whatever moment, the next start does the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from motet import Backends, ConfigError, Settings, connect
from motet.backends import broker
from motet.core.clock import SystemClock
from motet.core.ports import Clock
from motet.runtime import Running
from motet.server import Services, api, serving
from motet.telemetry import Metrics

from .feed import Fed, Feed, fed
from .pipeline import PARTITIONS, app
from .purchases import CDNOW_PURCHASES, DEFAULT_CACHE, NotFetched, Purchase, Source, open_purchases
from .report import Report, Standing, count_events, latency, reasons, standing, work

DEFAULT_URL = "sqlite:///.motet/demo.db"
DEFAULT_ORDERS = 20_000
DEFAULT_PORT = 8080

UNDER_WAY = 2000  # orders in hand at most: the feed waits for the pipeline
LOOK_S = 0.05  # between two looks at whether all is handled
ROOM_S = 0.01  # between two looks at whether there is room for more orders
DRAIN_S = 30.0


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; what is None is as it was, or the default."""

    url: str = DEFAULT_URL
    store: str | None = None  # where state is kept if `url` is a broker's
    cache_dir: Path = DEFAULT_CACHE
    orders: int | None = None
    source: Literal["CDNOW", "generated"] | None = None
    host: str = "127.0.0.1"
    port: int | None = None  # None: 8080, or a free one if that is taken


class Display(Protocol):
    """Where a demo shows how far it is."""

    def begin(self, source: Source, expected: int, api: str) -> None:
        """All is ready; work begins."""
        ...

    def advance(self, fed: Fed, standing: Standing) -> None:
        """So much is fed, and so much handled."""
        ...


class Demo(msgspec.Struct, frozen=True):
    """A demo that has done its work, still at work: what comes in through the API is handled."""

    report: Report
    backends: Backends

    async def standing(self) -> Standing:
        """How orders ended by now."""
        return await standing(self.backends.store)


@asynccontextmanager
async def demo(
    wishes: Wishes, display: Display, *, clock: Clock | None = None
) -> AsyncIterator[Demo]:
    """Feed and handle all orders, then yield the report; leaving the block ends services and API.

    Raises:
        ConfigError: the folder holds a demo of other orders, CDNOW was asked for and cannot be
            had, or the port cannot be listened on.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        store = wishes.store or (DEFAULT_URL if broker(wishes.url) else None)
        backends = await stack.enter_async_context(connect(wishes.url, store=store, clock=clock))
        before = await fed(backends.store)
        expected = _expected(wishes, before)
        source, purchases = await _open(wishes, before)
        for topic, partitions in PARTITIONS.items():
            await backends.transport.create_topic(topic, partitions=partitions)
        metrics = Metrics()
        running = await stack.enter_async_context(
            app.run(
                backends.transport,
                backends.store,
                clock=clock,
                settings=Settings(drain_s=DRAIN_S),
                metrics=metrics,
            )
        )
        services = _services(backends, running, metrics, clock)
        address = await _serve(stack, services, wishes)
        display.begin(source, expected, address)
        run = _Run(backends, running, display, clock)
        done = await run.work(purchases, Fed(source.name, expected))
        yield Demo(await _report(backends, done, source, (wishes.url, address)), backends)


class _Done(msgspec.Struct, frozen=True):
    """What a run found done, and did itself."""

    fed: Fed
    orders: int
    events: int
    seconds: float


class _Run:
    """One run's part of the work."""

    def __init__(
        self, backends: Backends, running: Running, display: Display, clock: Clock
    ) -> None:
        self._transport = backends.transport
        self._store = backends.store
        self._running = running
        self._display = display
        self._clock = clock

    async def work(self, purchases: Sequence[Purchase], start: Fed) -> _Done:
        """Feed what is left and return once all of it is handled."""
        began_s = self._clock.monotonic_s()
        orders, events = await self._so_far()
        last = await fed(self._store) or start
        if not last.done:
            feed = Feed(purchases, self._store, clock=self._clock, room=self._room)
            last = await feed.run(start)
        while not await self._running.idle():
            await self._show(last)
            await self._clock.sleep(LOOK_S)
        await self._show(last)
        now_orders, now_events = await self._so_far()
        seconds = self._clock.monotonic_s() - began_s
        return _Done(last, now_orders - orders, now_events - events, seconds)

    async def _room(self, so_far: Fed) -> None:
        """Hold the feed back while the pipeline has enough in hand."""
        while so_far.orders - (await self._show(so_far)).ended >= UNDER_WAY:
            await self._clock.sleep(ROOM_S)

    async def _show(self, so_far: Fed) -> Standing:
        now = await standing(self._store)
        self._display.advance(so_far, now)
        return now

    async def _so_far(self) -> tuple[int, int]:
        return (await standing(self._store)).ended, await count_events(self._transport)


async def _open(wishes: Wishes, before: Fed | None) -> tuple[Source, list[Purchase]]:
    """Open the purchases that were used here before, or those wished for."""
    if before is not None and wishes.source not in (None, before.source):
        raise ConfigError(
            f"{wishes.url} holds a demo of {before.source} orders; use another folder, or delete "
            "the database to start over"
        )
    if before is not None and before.done:
        return Source(before.source, "all published before"), []
    use = wishes.source if before is None else before.source
    try:
        return await asyncio.to_thread(open_purchases, wishes.cache_dir, use=use)
    except NotFetched as err:
        hint = "make it reachable, or start over with --source generated in another folder"
        raise ConfigError(f"no CDNOW orders: {err}; {hint}") from err


def _expected(wishes: Wishes, before: Fed | None) -> int:
    wanted = DEFAULT_ORDERS if wishes.orders is None else min(wishes.orders, CDNOW_PURCHASES)
    if wanted < 1:
        raise ConfigError(f"a demo of {wanted} orders shows nothing; ask for 1 or more")
    if before is None:
        return wanted
    if wishes.orders is not None and wanted != before.expected:
        raise ConfigError(
            f"{wishes.url} holds a demo of {before.expected:,} orders, not {wanted:,}; use "
            "another folder, or delete the database to start over"
        )
    return before.expected


def _services(backends: Backends, running: Running, metrics: Metrics, clock: Clock) -> Services:
    async def moving() -> str:
        return "; ".join(running.problems())

    readers = {
        topic: [each.processor.name for each in app.compile() if topic in each.processor.topics]
        for topic in PARTITIONS
    }
    return Services(
        transport=backends.transport,
        store=backends.store,
        clock=clock,
        metrics=metrics,
        readers={topic: groups for topic, groups in readers.items() if groups},
        checks={"workers": moving},
    )


async def _serve(stack: AsyncExitStack, services: Services, wishes: Wishes) -> str:
    web = api(services)
    if wishes.port is not None:
        return await stack.enter_async_context(serving(web, host=wishes.host, port=wishes.port))
    try:
        return await stack.enter_async_context(serving(web, host=wishes.host, port=DEFAULT_PORT))
    except ConfigError:  # somebody else has it; a demonstration takes any
        return await stack.enter_async_context(serving(web, host=wishes.host, port=0))


async def _report(
    backends: Backends, done: _Done, source: Source, places: tuple[str, str]
) -> Report:
    now, (url, address) = await standing(backends.store), places
    return Report(
        outcomes=now.outcomes,
        orders=now.ended,
        lines=done.fed.lines,
        duplicates=done.fed.duplicates,
        source=source.name,
        source_detail=source.detail,
        latency=latency(now.tally),
        run=work(orders=done.orders, events=done.events, seconds=done.seconds),
        dead_letters=await reasons(backends.store),
        events=await count_events(backends.transport),
        url=url,
        api=address,
    )
