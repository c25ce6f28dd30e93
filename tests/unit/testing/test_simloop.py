import asyncio

import pytest

from motet.testing import Deadlock, OutOfSteps, SimClock, SimLoop, TaskLeak, simulate, until


def test_time_jumps_to_what_happens_next() -> None:
    async def program(clock: SimClock) -> float:
        began_us = clock.now_us()
        await clock.sleep(86_400)
        assert clock.now_us() - began_us == 86_400_000_000
        return clock.monotonic_s()

    assert simulate(program, seed=1) == 86_400


def test_waiting_for_ever_is_an_error() -> None:
    async def program(clock: SimClock) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        simulate(program, seed=1)


def test_going_round_in_circles_is_an_error() -> None:
    async def program(clock: SimClock) -> None:
        while True:
            await clock.sleep(0)

    with pytest.raises(OutOfSteps):
        simulate(program, seed=1, max_steps=1000)


def test_a_task_left_over_is_an_error() -> None:
    async def program(clock: SimClock) -> None:
        asyncio.get_running_loop().create_task(clock.sleep(5), name="forgotten")

    with pytest.raises(TaskLeak, match="forgotten"):
        simulate(program, seed=1)


def test_a_task_that_failed_unheard_is_an_error() -> None:
    async def broken() -> None:
        raise ValueError("nobody listens")

    async def program(clock: SimClock) -> None:
        asyncio.get_running_loop().create_task(broken(), name="broken")
        await clock.sleep(1)

    with pytest.raises(TaskLeak, match="nobody listens"):
        simulate(program, seed=1)


def test_what_is_ready_together_runs_in_an_order_drawn_from_the_seed() -> None:
    async def program(clock: SimClock) -> str:
        said: list[str] = []

        async def say(letter: str) -> None:
            await clock.sleep(0)
            said.append(letter)

        async with asyncio.TaskGroup() as tasks:
            for letter in "abcdef":
                tasks.create_task(say(letter), name=letter)
        return "".join(said)

    orders = [simulate(program, seed=seed) for seed in (1, 1, 2, 3)]
    assert orders[0] == orders[1]
    assert len(set(orders)) == 3


def test_tasks_in_a_set_come_in_the_same_order_in_every_run() -> None:
    async def program(clock: SimClock) -> list[str]:
        async with asyncio.TaskGroup() as tasks:
            made = {tasks.create_task(clock.sleep(1), name=str(n)) for n in range(50)}
            return [task.get_name() for task in made]

    assert simulate(program, seed=1) == simulate(program, seed=2)


def test_a_thread_is_a_call() -> None:
    async def program(clock: SimClock) -> int:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: 42)

    assert simulate(program, seed=1) == 42


def test_the_wall_clock_can_be_set_and_sleep_does_not_care() -> None:
    async def program(clock: SimClock) -> None:
        began_us, began_s = clock.now_us(), clock.monotonic_s()
        clock.jump(-3600)
        assert clock.now_us() == began_us - 3_600_000_000
        await clock.sleep(1)
        assert clock.monotonic_s() == began_s + 1
        assert clock.latest_us == began_us

    simulate(program, seed=1)


def test_until_waits_for_a_condition_or_gives_up() -> None:
    async def program(clock: SimClock) -> None:
        async def late() -> bool:
            return clock.monotonic_s() > 5

        await until(late, clock)
        with pytest.raises(TimeoutError):
            await until(lambda: False, clock, timeout_s=2)
        assert 7 < clock.monotonic_s() < 8

    simulate(program, seed=1)


def test_a_simulation_returns_and_raises_what_its_program_does() -> None:
    async def program(clock: SimClock) -> None:
        assert isinstance(asyncio.get_running_loop(), SimLoop)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        simulate(program, seed=1)
