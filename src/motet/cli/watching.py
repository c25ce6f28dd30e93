"""What `motet bridge` says while it runs, and at the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from motet.cli.bridging import BridgeWork
from motet.cli.console import Console
from motet.cli.tables import counted
from motet.core.errors import TransientError
from motet.core.ports import Clock

_LOOK_S = 1.0  # between two looks at what does not move
_SAY_S = 10.0  # between two lines of progress


class Done(msgspec.Struct, frozen=True):
    """What a bridge did, in JSON: its counts, and how long it took."""

    copied: int
    new: int
    unselected: int
    returned: int
    refused: int
    duration_s: float
    events_per_s: float


class Watch:
    """Says on standard error how far the bridge is, and why it does not move."""

    def __init__(self, console: Console, work: BridgeWork, clock: Clock) -> None:
        self._console = console
        self._work = work
        self._clock = clock
        self._began_s = clock.monotonic_s()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Watch"]:
        """Watch while the block runs."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self._watch(), name="watch")
            try:
                yield self
            finally:
                task.cancel()

    def finish(self) -> None:
        """Say what was done in all."""
        counts = self._work.counts
        duration_s = round(self._clock.monotonic_s() - self._began_s, 3)
        rate = round(counts.copied / max(duration_s, 1e-3), 1)
        self._console.record(
            Done(
                counts.copied,
                counts.new,
                counts.unselected,
                counts.returned,
                counts.refused,
                duration_s,
                rate,
            )
        )
        told = [f"{counted(counts.copied, 'event')} copied"]
        if counts.copied != counts.new:
            told.append(f"{counts.copied - counts.new:,} of them the target had")
        if counts.unselected:
            told.append(f"{counts.unselected:,} not selected")
        if counts.returned:
            told.append(f"{counts.returned:,} had been there before")
        self._console.text(", ".join(told))
        if counts.refused:
            self._console.error(
                f"{counted(counts.refused, 'event')} refused; see `motet dlq list --url "
                f"{self._work.store}`"
            )

    async def _watch(self) -> None:
        said, copied, looks = "", 0, 0
        while True:
            await self._clock.sleep(_LOOK_S)
            problem = "; ".join(self._work.bridge.problems())
            if problem != said:
                self._console.note(f"waiting: {problem}" if problem else "moving again")
                said = problem
            looks += 1
            if looks % round(_SAY_S / _LOOK_S) == 0 and self._work.counts.copied != copied:
                await self._say(self._work.counts.copied - copied)
                copied = self._work.counts.copied

    async def _say(self, copied: int) -> None:
        try:
            lag = await self._work.bridge.lag()
        except TransientError:
            lag = None
        behind = "" if lag is None else f", {counted(lag, 'event')} behind"
        self._console.note(
            f"{counted(self._work.counts.copied, 'event')} copied, "
            f"{copied / _SAY_S:,.0f} a second{behind}"
        )
