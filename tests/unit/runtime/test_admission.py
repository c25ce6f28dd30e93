"""Waiting for a place among the records handled at once."""

import asyncio

from motet.core.clock import SystemClock
from motet.resilience import BackPressure
from motet.runtime.admission import Admission


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await SystemClock().sleep(0)


async def test_each_place_given_back_goes_to_one_that_waits() -> None:
    admission = Admission(BackPressure(max_in_flight=2))
    entered: list[int] = []

    async def enter(number: int) -> None:
        await admission.enter()
        entered.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(enter(number))
        await turns()
        assert entered == [0, 1]
        await admission.leave(0.1)
        await turns()
        assert entered == [0, 1, 2]
        await admission.leave(0.1)

    assert entered == [0, 1, 2, 3]


async def test_a_place_is_not_lost_with_the_one_that_was_woken_for_it() -> None:
    admission = Admission(BackPressure(max_in_flight=1))
    await admission.enter()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        woken = tasks.create_task(admission.enter())
        other = tasks.create_task(admission.enter())
        await turns()
        await admission.leave(0.1)
        woken.cancel()

    assert woken.cancelled()
    assert other.done()
