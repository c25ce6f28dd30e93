import asyncio

from motet.core.clock import SystemClock
from motet.drivers.sqlite import prepare
from motet.testing.events import make_event
from tests.sqlite import fresh, opened


async def test_a_commit_elsewhere_wakes_who_waits() -> None:
    async with fresh() as here, opened(here.path) as there:
        events = prepare(await there.topic("t"), [make_event(1)])
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(here.watch.wait(3600.0), name="waiting")
            while not waiting.done():
                await there.write(lambda tx: tx.log.add(events))
                await SystemClock().sleep(0.002)


async def test_all_who_wait_are_woken_by_one_commit() -> None:
    async with fresh() as database:
        topic = await database.topic("t")
        events = prepare(topic, [make_event(1)])
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            for n in range(20):
                tasks.create_task(database.watch.wait(3600.0), name=f"w{n}")
            await SystemClock().sleep(0)
            await database.write(lambda tx: tx.log.add(events))


async def test_two_openings_in_one_process_write_in_turns() -> None:
    async with fresh() as one, opened(one.path) as other:
        topic = await one.topic("t")
        async with asyncio.TaskGroup() as tasks:
            for n in range(200):
                events = prepare(topic, [make_event(n)])
                write = (one, other)[n % 2].write
                tasks.create_task(write(lambda tx, e=events: tx.log.add(e)), name=f"w{n}")
        assert one.topics()[0].events == 200
