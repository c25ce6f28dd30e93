"""A server that is away: what says so meanwhile, and how soon its return is noticed."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from motet import App, RetryPolicy, State
from motet.core.errors import Unavailable
from motet.core.event import Event
from motet.core.outcome import Commit
from motet.core.ports import Guarantee, Lease, Subscription
from motet.drivers.memory import MemoryLog
from motet.runtime import RetryReader, Worker
from motet.stores.memory import MemoryStore
from motet.testing.simulation import SimClock, simulate, until
from motet.transports.memory import MemoryTransport

app = App("outages")


@app.on("in", retry=RetryPolicy(base_s=60.0, cap_s=3600.0, jitter_s=1.0))
def count(event: Event, state: State) -> None:
    """Count events."""
    state.put((state.get(int) or 0) + 1)


class Away(MemoryStore):
    """A store that does not answer for a while."""

    away = True

    async def commit(self, commit: Commit) -> None:
        if self.away:
            raise Unavailable("the store does not answer")
        await super().commit(commit)


def test_the_return_of_a_store_is_noticed_within_seconds_however_long_it_was_away() -> None:
    async def scenario(clock: SimClock) -> None:
        log = MemoryLog(clock)
        store = Away(log)
        event = Event(id="1", type="t", time="2026-01-01T00:00:00Z", key="k")
        await MemoryTransport(log).publish("in", [event])
        async with app.run(MemoryTransport(log), store, clock=clock) as running:
            await until(lambda: bool(running.problems()), clock)
            await clock.sleep(3600.0)
            store.away = False
            await until(running.idle, clock, timeout_s=4.0)
            assert running.problems() == []

    simulate(scenario, seed=1)


class OutOfReach:
    """A group that cannot be taken part in; conforms to `ports.Troubled`."""

    trouble = "nobody answers at broker:1"

    def __aiter__(self) -> AsyncIterator[Lease]:
        return self

    async def __anext__(self) -> Lease:
        await asyncio.Event().wait()
        raise AssertionError


class Broker:
    """A transport whose broker may be away; conforms to `ports.Readable`."""

    guarantees = Guarantee.ORDERED

    def __init__(self) -> None:
        self.leases = OutOfReach()

    @asynccontextmanager
    async def subscribe(
        self, topics: Collection[str], *, group: str
    ) -> AsyncIterator[Subscription]:
        yield self.leases


def test_a_worker_without_leases_says_so_while_its_group_is_out_of_reach() -> None:
    async def scenario(clock: SimClock) -> None:
        (compiled,) = app.compile()
        broker = Broker()
        for readable in (broker, RetryReader(broker, clock=clock)):
            broker.leases.trouble = "nobody answers at broker:1"
            worker = Worker(
                compiled.processor, readable, MemoryStore(MemoryLog(clock)), clock=clock
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(worker.run(), name="worker")
                await until(lambda worker=worker: bool(worker.problems), clock)
                assert worker.problems == ["outages: not in its group: nobody answers at broker:1"]
                broker.leases.trouble = ""
                assert worker.problems == []
                worker.stop()

    simulate(scenario, seed=1)
