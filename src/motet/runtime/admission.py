"""Waiting for a place among what is handled at once."""

import asyncio

from motet.resilience import BackPressure


class Admission:
    """`BackPressure` to wait for: one per processor, shared by all its partitions."""

    def __init__(self, limit: BackPressure) -> None:
        self._limit = limit
        self._freed = asyncio.Condition()

    async def enter(self) -> None:
        """Wait for a place and take it."""
        if not self._limit.admit():
            async with self._freed:
                try:
                    await self._freed.wait_for(self._limit.admit)
                except asyncio.CancelledError:
                    self._freed.notify()  # we may have been woken for a place: let another take it
                    raise

    async def leave(self, latency_s: float) -> None:
        """Give the place back after work that took so long."""
        self._limit.done(latency_s)
        await self._wake()

    async def withdraw(self) -> None:
        """Give the place back unused."""
        self._limit.withdraw()
        await self._wake()

    async def _wake(self) -> None:
        async with self._freed:
            # No more than can be admitted: with many lanes, waking all costs more than the rest.
            self._freed.notify(max(0, self._limit.limit - self._limit.in_flight))
