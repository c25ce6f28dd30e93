"""Running a program in simulated time: its clock, its end, and what it may not leave behind."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from motet.core.clock import SystemClock
from motet.core.ports import Clock
from motet.testing.simloop import SimLoop

T = TypeVar("T")

START_US = 1_767_225_600_000_000
"""The wall clock when a simulation starts: 2026-01-01T00:00:00Z."""


class TaskLeak(AssertionError):
    """Tasks were left over, or failed unheard, when the simulation was done."""


class SimClock:
    """A clock that shows a `SimLoop`'s time, and can be set wrong; conforms to `ports.Clock`."""

    def __init__(self, loop: SimLoop, seed: int | str) -> None:
        self._loop = loop
        self._rng = random.Random(f"clock {seed}")
        self._offset_us = START_US
        self.latest_us = START_US  # the latest instant anybody was shown
        self._sleeper = SystemClock()  # it sleeps on the running loop: this one

    def now_us(self) -> int:
        """Wall clock, microseconds since the Unix epoch. Jumps when told to."""
        now_us = self._offset_us + round(self._loop.now_s * 1e6)
        self.latest_us = max(self.latest_us, now_us)
        return now_us

    def monotonic_s(self) -> float:
        """Simulated seconds since the start."""
        return self._loop.now_s

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` simulated seconds."""
        await self._sleeper.sleep(delay_s)

    def random(self) -> float:
        """A number in [0, 1), from the seed."""
        return self._rng.random()

    def jump(self, by_s: float) -> None:
        """Set the wall clock forward, or back if negative; what sleeps is not affected."""
        self._offset_us += round(by_s * 1e6)


def simulate(
    program: Callable[[SimClock], Coroutine[object, object, T]],
    *,
    seed: int | str,
    max_steps: int = 1_000_000,
) -> T:
    """Run `program(clock)` in simulated time and return what it returns.

    Raises:
        Deadlock: everybody waits for ever.
        OutOfSteps: it does not come to an end.
        TaskLeak: tasks were left when it was done, or one failed and nobody looked.
    """
    loop = SimLoop(seed, max_steps=max_steps)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            result = runner.run(program(SimClock(loop, seed)))
            left = sorted(task.get_name() for task in asyncio.all_tasks(loop))
        finally:
            loop.grant(100_000)
    if left or loop.complaints:
        raise TaskLeak(f"left over: {left}; unheard: {loop.complaints}")
    return result


async def until(
    condition: Callable[[], bool | Awaitable[bool]],
    clock: Clock,
    *,
    timeout_s: float = 30.0,
    every_s: float = 0.005,
) -> None:
    """Return once `condition()` holds.

    Raises:
        TimeoutError: it did not hold within `timeout_s`.
    """
    end_s = clock.monotonic_s() + timeout_s
    while True:
        holds = condition()
        if not isinstance(holds, bool):
            holds = await holds
        if holds:
            return
        if clock.monotonic_s() >= end_s:
            raise TimeoutError(f"{condition!r} did not hold within {timeout_s:g} s")
        await clock.sleep(every_s)
