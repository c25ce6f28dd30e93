"""Everything of an app that runs in one process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from motet.core.event import Partition
from motet.core.ports import Clock, Store, Transport
from motet.runtime.delivery import TransportDelivery
from motet.runtime.relay import Relay
from motet.runtime.ticker import Ticker
from motet.runtime.worker import Worker
from motet.telemetry import bind

log = bind(__name__)

_LOOK_S = 0.05  # between two looks at whether anything is left to do
_SOON_S = 60.0  # a timer due within this is something left to do


class Running:
    """Workers, relay and schedules at work; without a relay, what the outbox holds stays there."""

    def __init__(
        self,
        workers: Sequence[Worker],
        relay: Relay | None,
        tickers: Sequence[Ticker],
        *,
        transport: Transport,
        store: Store,
        clock: Clock,
        noting: TransportDelivery | None = None,
    ) -> None:
        self.workers = tuple(workers)
        self._transport = transport
        self._store = store
        self._clock = clock
        self._relay = relay
        self._tickers = tuple(tickers)
        self._noting = noting

    def problems(self) -> list[str]:
        """Why something does not move at present; empty when all is well."""
        found = [problem for worker in self.workers for problem in worker.problems]
        found += [ticker.problem for ticker in self._tickers if ticker.problem]
        if self._relay is not None and self._relay.problem:
            found.append(self._relay.problem)
        return found

    async def idle(self) -> bool:
        """Whether nothing is left to do: all is read, nothing parked, no timer due in a minute.

        Timers of a later time, such as the end of a retention, are left for later. What happens
        is noted in the order progress, outbox, log; reading in that same order finds whatever
        moves from one to the next meanwhile.
        """
        progress = {(each.group, each.partition): each for each in await self._store.groups()}
        due_us = None if self._relay is None else await self._store.outbox.next_due_us()
        if due_us is not None and due_us < self._clock.now_us() + _SOON_S * 1e6:
            return False
        ends = {info.name: info.ends for info in await self._transport.topics()}
        for worker in self.workers:
            for topic in worker.topics:
                for index, end in enumerate(ends.get(topic, ())):
                    place = progress.get((worker.group, Partition(topic, index)))
                    if end and (place is None or place.parked or place.next < end):
                        return False
        return True

    async def until_idle(self) -> None:
        """Return once `idle`."""
        while not await self.idle():
            await self._clock.sleep(_LOOK_S)

    @asynccontextmanager
    async def at_work(self, *, drain_s: float) -> AsyncIterator["Running"]:
        """Run until the block is left, then drain.

        Draining: nothing more is fetched, what is in hand is committed; what takes longer than
        `drain_s` seconds is given up and will be handled again. An error in one part ends all.
        """
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(worker.run(), name=f"{worker.group}/worker")
                for worker in self.workers
            ]
            relays = [] if self._relay is None else [self._relay]
            relaying = [tasks.create_task(each.run(), name="relay") for each in relays]
            beside = [tasks.create_task(each.run(), name="schedule") for each in self._tickers]
            if self._noting is not None:
                beside.append(tasks.create_task(self._noting.run(), name="progress"))
            try:
                yield self
            finally:
                for each in beside:
                    each.cancel()
                for worker in self.workers:
                    worker.stop()
                await _finish(running, drain_s)
                if self._noting is not None:
                    await self._noting.note()
                for last in relays:  # what was just committed may have to go out
                    last.stop()
                await _finish(relaying, drain_s)


async def _finish(running: Sequence[asyncio.Task[None]], within_s: float) -> None:
    if not running:
        return
    _, late = await asyncio.wait(running, timeout=within_s)
    for task in late:
        log.warning("drain.given_up", extra={"task": task.get_name()})
        task.cancel()
