"""A bridge at work: from a log or from a source, with what is to be said of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from motet.bridges.copying import Copying
from motet.bridges.draining import Draining
from motet.bridges.forwarding import Forwarding
from motet.bridges.picking import Counts
from motet.bridges.targets import Target
from motet.core.event import Partition
from motet.core.ports import Clock, Guarantee, ProgressKeeper, Store, Transport
from motet.resilience import RetryPolicy
from motet.runtime import Running, Settings, TransportDelivery, Worker
from motet.telemetry import Metrics

RETRY = RetryPolicy(base_s=0.2, cap_s=5.0, jitter_s=0.5)
"""While a side is away. An event that fails is not tried again: expressions do not change."""


class Bridge(Protocol):
    """A bridge at work."""

    @property
    def lossy(self) -> bool:
        """Whether what comes while it is not at work is gone."""
        ...

    def problems(self) -> list[str]:
        """Why something does not move at present; empty when all is well."""
        ...

    async def lag(self) -> int | None:
        """Number of events not yet looked at; None: a source does not say."""
        ...

    async def until_idle(self) -> None:
        """Return once nothing is left to be copied."""
        ...


class LogBridge:
    """A consumer group of one transport whose effects are on another."""

    lossy = False

    def __init__(self, running: Running, store: Store, transport: Transport, group: str) -> None:
        self._running = running
        self._store = store
        self._transport = transport
        self._group = group

    def problems(self) -> list[str]:
        """Why something does not move at present; empty when all is well."""
        return self._running.problems()

    async def lag(self) -> int:
        """Number of events not yet looked at."""
        topics = {topic for worker in self._running.workers for topic in worker.topics}
        places = {
            each.partition: each.next
            for each in await self._store.groups()
            if each.group == self._group
        }
        return sum(
            max(0, end - max(start, places.get(Partition(info.name, index), 0)))
            for info in await self._transport.topics()
            if info.name in topics
            for index, (start, end) in enumerate(zip(info.starts, info.ends, strict=True))
        )

    async def until_idle(self) -> None:
        """Return once everything is looked at."""
        await self._running.until_idle()


class SourceBridge:
    """What empties a source."""

    def __init__(self, draining: Draining) -> None:
        self._draining = draining
        self.lossy = draining.lossy

    def problems(self) -> list[str]:
        """Why nothing moves at present; empty when all is well."""
        return [self._draining.problem] if self._draining.problem else []

    async def lag(self) -> None:
        """Return None: a source does not say how much waits."""

    async def until_idle(self) -> None:
        """Return once the source had nothing for a while."""
        await self._draining.until_idle()


@asynccontextmanager
async def copying(
    processor: Copying,
    here: Transport,
    target: Target,
    store: Store,
    *,
    counts: Counts,
    clock: Clock,
    settings: Settings | None = None,
) -> AsyncIterator[LogBridge]:
    """Copy from the log `here` to `target` while the block runs; then finish what is in hand.

    Progress is kept where `here` keeps that of its groups, else in `store`, which has the dead
    letters in any case.
    """
    settings = settings or Settings()
    noting = None
    if isinstance(here, ProgressKeeper) and Guarantee.SHARED_TX not in here.guarantees:
        noting = TransportDelivery(store, here, here, clock=clock)
    kept = Forwarding(noting if noting is not None else store, target, counts)
    worker = Worker(
        processor, here, kept, clock=clock, retry=RETRY, settings=settings, metrics=Metrics()
    )
    running = Running([worker], None, [], transport=here, store=store, clock=clock, noting=noting)
    async with running.at_work(drain_s=settings.drain_s):
        yield LogBridge(running, store, here, processor.name)


@asynccontextmanager
async def emptying(draining: Draining, *, drain_s: float) -> AsyncIterator[SourceBridge]:
    """Empty a source while the block runs; then finish what is in hand."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(draining.run(), name="bridge")
        try:
            yield SourceBridge(draining)
        finally:
            draining.stop()
            await asyncio.wait([task], timeout=drain_s)
            task.cancel()
