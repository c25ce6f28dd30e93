"""SIGTERM and Ctrl-C: the first drains, the second stops at once."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from motet.cli.console import Console
from motet.core.ports import Clock

SIGNALS = (signal.SIGTERM, signal.SIGINT)

_MARGIN_S = 1.0  # what a drain that gave up is left to close files in


class Stop:
    """Set by the first signal. The second ends the process as if nobody had handled it."""

    def __init__(self, console: Console, *, drain_s: float, clock: Clock) -> None:
        self._console = console
        self._drain_s = drain_s
        self._clock = clock
        self._asked = asyncio.Event()
        self._asked_s = 0.0
        self.signal: signal.Signals | None = None

    @property
    def late(self) -> bool:
        """Whether the drain has used up its time: something was given up."""
        return self.signal is not None and (
            self._clock.monotonic_s() - self._asked_s >= self._drain_s
        )

    @property
    def exit_code(self) -> int:
        """0 after SIGTERM was obeyed, 130 after Ctrl-C, 1 when something was given up."""
        if self.late:
            return 1
        return 128 + self.signal if self.signal is signal.SIGINT else 0

    async def wait(self) -> None:
        """Return once the first signal has come."""
        await self._asked.wait()

    async def wait_for(self, work: Coroutine[object, object, None]) -> None:
        """Return once the first signal has come or `work` is done, whichever is first."""
        async with asyncio.TaskGroup() as tasks:
            both = [
                tasks.create_task(work, name="work"),
                tasks.create_task(self.wait(), name="signal"),
            ]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()

    def handle(self, number: signal.Signals) -> None:
        """Take a signal."""
        if self.signal is not None:
            self._console.note(
                f"motet: {number.name} again: stopped at once; what was not committed is done "
                "again at the next start"
            )
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.signal = number
        self._asked_s = self._clock.monotonic_s()
        self._console.note(
            f"motet: {number.name}: draining, at most {self._drain_s:g} s: nothing more is "
            "fetched, what is in hand is committed; once more stops at once"
        )
        # A handler that hangs in a thread cannot be cancelled, and Python would wait for it.
        watchdog = threading.Timer(self._drain_s + _MARGIN_S, self._give_up)
        watchdog.daemon = True
        watchdog.start()
        self._asked.set()

    def finish(self) -> int:
        """Say how the drain ended, and return the exit code."""
        if self.late:
            self._say_late()
        elif self.signal is not None:
            self._console.note("motet: stopped; everything in hand is committed")
        return self.exit_code

    def _give_up(self) -> None:
        self._say_late()
        os._exit(1)

    def _say_late(self) -> None:
        self._console.error(
            f"not all was done within {self._drain_s:g} s; the rest is done again at the next "
            "start, or give it more time with --drain"
        )


@asynccontextmanager
async def stopping(console: Console, *, drain_s: float, clock: Clock) -> AsyncIterator[Stop]:
    """Handle SIGTERM and SIGINT inside the block, which is to end when `Stop.wait` returns."""
    loop = asyncio.get_running_loop()
    stop = Stop(console, drain_s=drain_s, clock=clock)
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.handle, number)
    try:
        yield stop
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
