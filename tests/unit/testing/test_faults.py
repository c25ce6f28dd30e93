import asyncio
import random

import pytest

from motet.core.errors import Unavailable
from motet.core.event import Partition
from motet.core.outcome import Commit
from motet.stores.memory import MemoryLog, MemoryStore
from motet.testing import (
    FaultPlan,
    Faults,
    FaultyStore,
    FaultyTransport,
    SimClock,
    make_events,
    simulate,
)
from motet.transports.memory import MemoryTransport

PLACE = Partition("t", 0)


def test_a_plan_without_faults_changes_nothing() -> None:
    async def program(clock: SimClock) -> None:
        faults, transport, store, _ = _world(clock, FaultPlan())
        assert await transport.publish("t", make_events(3)) == 3
        await store.commit(Commit("g", PLACE, 0, 1))
        assert (await store.progress("g", PLACE)).version == 1
        assert not faults.seen

    simulate(program, seed=1)


def test_an_unavailable_call_has_no_effect_and_an_unknown_one_has() -> None:
    async def program(clock: SimClock) -> None:
        for plan, applied in ((FaultPlan(unavailable=1.0), 0), (FaultPlan(unknown=1.0), 1)):
            _, _, store, _ = _world(clock, plan)
            with pytest.raises(Unavailable):
                await store.commit(Commit("g", PLACE, 0, 1))
            assert (await _inner(store).progress("g", PLACE)).version == applied

    simulate(program, seed=1)


def test_a_dead_process_does_nothing_more_and_keeps_its_leases_until_it_is_buried() -> None:
    async def program(clock: SimClock) -> None:
        faults, _, store, log = _world(clock, FaultPlan(crash=1.0))
        inner = MemoryTransport(log)

        async def life() -> None:
            faulty = FaultyTransport(inner, faults)
            faults.calm = True
            try:
                async with faulty.subscribe(["t"], group="g") as leases:
                    await anext(leases)
                    faults.calm = False
                    await faulty.publish("t", make_events(1))
            finally:
                with pytest.raises(asyncio.CancelledError):
                    await store.commit(Commit("g", PLACE, 0, 1))

        await inner.create_topic("t", partitions=1)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(life(), name="life")
            faults.attach(task)
        assert task.cancelled()
        assert faults.dead
        assert (await _inner(store).progress("g", PLACE)).version == 0
        async with inner.subscribe(["t"], group="g") as leases:
            waiting = asyncio.ensure_future(anext(leases))  # noqa: TID251 - to see it wait
            await clock.sleep(10)
            assert not waiting.done()
            await faults.bury()
            assert (await waiting).partition == PLACE

    simulate(program, seed=1)


def test_joining_a_group_fails_and_so_does_waiting_for_a_lease() -> None:
    async def program(clock: SimClock) -> None:
        faults, transport, _, _ = _world(clock, FaultPlan(unavailable=1.0))
        with pytest.raises(Unavailable, match="subscribe"):
            async with transport.subscribe(["t"], group="g"):
                raise AssertionError("it joined")
        faults.calm = True
        await transport.create_topic("t", partitions=1)
        async with transport.subscribe(["t"], group="g") as leases:
            faults.calm = False
            with pytest.raises(Unavailable, match="leases"):
                await anext(leases)

    simulate(program, seed=1)


def test_calm_ends_all_faults() -> None:
    async def program(clock: SimClock) -> None:
        plan = FaultPlan(delay=1.0, unavailable=1.0, slow="publish")
        faults, transport, _, _ = _world(clock, plan)
        faults.calm = True
        assert await transport.publish("t", make_events(3)) == 3
        assert clock.monotonic_s() == 0

    simulate(program, seed=1)


def test_a_publish_that_happens_twice_is_one_in_a_log_that_keeps_ids_once() -> None:
    async def program(clock: SimClock) -> None:
        _, transport, _, _ = _world(clock, FaultPlan(duplicate=1.0))
        assert await transport.publish("t", make_events(3)) == 3
        (info,) = await transport.topics()
        assert info.events == 3

    simulate(program, seed=1)


def test_a_drawn_plan_has_chances_only() -> None:
    for seed in range(50):
        plan = FaultPlan.draw(random.Random(seed))
        assert 0 <= plan.crash <= plan.unavailable + 0.01 <= 0.2
        assert plan.max_delay_s > 0


def _world(
    clock: SimClock, plan: FaultPlan
) -> tuple[Faults, FaultyTransport, FaultyStore, MemoryLog]:
    log = MemoryLog(clock, partitions=1)
    faults = Faults(plan, clock=clock, rng=random.Random(1))
    store = FaultyStore(MemoryStore(log), faults)
    return faults, FaultyTransport(MemoryTransport(log), faults), store, log


def _inner(store: FaultyStore) -> MemoryStore:
    inner = store._inner
    assert isinstance(inner, MemoryStore)
    return inner
