"""An event loop that owns time: nothing waits, the clock jumps to the next thing that happens.

What runs on it runs the same again for the same seed.
"""

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import Context
from typing import TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Work = Generator[asyncio.Future[object] | None, None, T] | Coroutine[object, object, T]
"""What a task runs, as asyncio has it."""


class Deadlock(AssertionError):
    """Everybody waits and no timer is set: nothing can ever happen again."""


class OutOfSteps(AssertionError):
    """The step budget is used up: something goes round in circles."""


class SimTask(asyncio.Task[T]):
    """A task that hashes by its number, not its address.

    asyncio and its users keep tasks in sets; in what order these cancel them must not be chance.
    """

    def __init__(
        self, number: int, coro: Work[T], *, loop: "SimLoop", name: str, context: Context | None
    ) -> None:
        self._number = number  # first: asyncio hashes the task while it makes it
        super().__init__(coro, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self._number


class SimLoop(asyncio.SelectorEventLoop):
    """An event loop in simulated time, for code that has no sockets.

    What is ready at the same time runs in an order drawn from the seed. There are no threads:
    `asyncio.to_thread` calls its function at once.

    Raises:
        Deadlock: nothing is ready and no timer is set (from `run_until_complete`).
        OutOfSteps: `max_steps` turns of the loop were not enough (likewise).
    """

    _ready: deque[asyncio.Handle]

    def __init__(self, seed: int | str, *, max_steps: int = 1_000_000) -> None:
        self.rng = random.Random(f"loop {seed}")
        self.now_s = 0.0
        self.steps = 0
        self._tasks_made = 0
        self.complaints: list[str] = []  # errors there was no task left to raise
        self._steps_left = max_steps
        super().__init__(_Jump(self))
        self.set_exception_handler(_complain)

    def time(self) -> float:
        """Simulated seconds since the start."""
        return self.now_s

    def create_task(
        self,
        coro: Work[T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Make a task that is the same in every run."""
        self._tasks_made += 1
        number = self._tasks_made
        return SimTask(number, coro, loop=self, name=str(name or number), context=context)

    def grant(self, steps: int) -> None:
        """Allow this many more turns: what is torn down after an error needs some."""
        self._steps_left = steps

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call `func` at once: a thread would bring chance in from outside."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as err:  # noqa: BLE001 - user code; whoever awaits gets its error
            future.set_exception(err)
        return future

    def _run_once(self) -> None:
        self.steps += 1
        self._steps_left -= 1
        if self._steps_left < 0:
            raise OutOfSteps(f"no end after {self.steps:,} steps, {self.now_s:.3f} s")
        # Harsher than asyncio, which promises first in, first out: our code may not lean on that.
        handles = list(self._ready)
        self.rng.shuffle(handles)
        self._ready.clear()
        self._ready.extend(handles)
        super()._run_once()  # type: ignore[misc]  # private to asyncio, the same since 3.4


class _Jump(selectors.SelectSelector):
    """Where a loop would wait for sockets, time goes on instead."""

    def __init__(self, loop: SimLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock(f"everybody waits and no timer is set, at {self._loop.now_s:.3f} s")
        self._loop.now_s += timeout
        return []


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    assert isinstance(loop, SimLoop)
    loop.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")
