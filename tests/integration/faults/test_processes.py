"""Worker processes that hang and come back, that are killed, that come and go."""

import asyncio
import random
from pathlib import Path

import pytest

from motet import connect
from motet.core.event import Partition
from tests.integration.faults.brokers import NAMES, shared
from tests.integration.faults.counting import app
from tests.integration.faults.processes import freeze, thaw, worked
from tests.integration.faults.running import at_work

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

KILLS = 5
JOINS, FLAPPING = 50, 5


@pytest.mark.kill
@pytest.mark.parametrize("name", NAMES)
async def test_a_worker_that_was_taken_for_dead_moves_nothing_when_it_comes_back(
    name: str, tmp_path: Path
) -> None:
    async with shared(name) as url, worked(url, tmp_path, count=2) as (counting, crew):
        zombie, other = crew.processes
        await freeze(zombie, counting)
        await counting.moved_on()  # all partitions: the other one has those of the zombie
        before = await counting.standing()
        thaw(zombie)
        for _ in range(5):
            await counting.moved_on(10)
            now = await counting.standing()
            assert back(before, now) == {}
            before = now
        crew.kill(other)
        await counting.moved_on()  # it works again


def back(
    before: dict[tuple[str, Partition], int], now: dict[tuple[str, Partition], int]
) -> dict[tuple[str, Partition], tuple[int, int]]:
    """Where progress went back."""
    return {place: (offset, now[place]) for place, offset in before.items() if now[place] < offset}


@pytest.mark.kill
@pytest.mark.parametrize("name", NAMES)
async def test_workers_killed_at_any_moment_cost_time_and_nothing_else(
    name: str, tmp_path: Path
) -> None:
    rng = random.Random(f"kills {name}")
    async with shared(name) as url, worked(url, tmp_path, count=3) as (counting, crew):
        for _ in range(KILLS):
            await counting.moved_on(rng.randrange(1, 60))
            crew.kill(rng.choice(crew.processes))
            crew.start()
        await counting.moved_on()


@pytest.mark.parametrize("name", NAMES)
async def test_fifty_joins_and_leaves_cost_time_and_nothing_else(name: str, tmp_path: Path) -> None:
    async with (
        shared(name) as url,
        at_work(url, tmp_path) as counting,
        connect(url, store=f"sqlite:///{tmp_path}/state.db") as others,
    ):

        async def flap() -> None:
            for _ in range(JOINS // FLAPPING):
                async with app.run(others.transport, others.store):
                    await counting.moved_on(5, within_s=60.0)

        async with asyncio.TaskGroup() as tasks:
            for n in range(FLAPPING):
                tasks.create_task(flap(), name=f"flapping {n}")
        await counting.moved_on()
        await counting.well()
