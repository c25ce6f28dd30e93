"""Waiting for something that can be let go of when there is something else to do."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Interruptible:
    """One wait at a time; `interrupt` ends it now. What is awaited has to be safe to cancel."""

    def __init__(self) -> None:
        self._scope: asyncio.Timeout | None = None

    async def run(self, awaited: Awaitable[T], otherwise: T) -> T:
        """Return what is awaited, or `otherwise` when interrupted."""
        scope = self._scope = asyncio.timeout(None)
        try:
            async with scope:
                return await awaited
        except TimeoutError:
            if not scope.expired():
                raise
            return otherwise
        finally:
            self._scope = None

    def interrupt(self) -> None:
        """Let go of what is waited for now, if anything."""
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())
            self._scope = None  # once is enough, and a scope that expires may not be changed
