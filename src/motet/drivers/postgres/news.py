"""News: who waits for something to be committed is woken, whichever process committed it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import asyncpg

from motet.core.errors import MotetError
from motet.core.ports import Clock
from motet.drivers.postgres.errors import translated

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0  # between two attempts to listen

Dial = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]
"""Opens a connection; leaving the block closes it."""


class News:
    """Wakes everybody who waits, at each commit.

    Commits of this process ring at once. Those of others are told by NOTIFY, on a connection that
    does nothing else, and many at once by one: a NOTIFY inside the transaction would make all
    commits of the database wait for one another (ADR 20). One that is lost with its process is
    made up for by whoever looks now and then.
    """

    def __init__(self, dial: Dial, where: str, *, channel: str, clock: Clock) -> None:
        self._dial = dial
        self._where = where
        self._channel = channel
        self._clock = clock
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._busy = asyncio.Event()  # something is to be told, or the connection is gone
        self._to_tell = False

    def committed(self, queued: bool) -> None:  # noqa: FBT001 - the writer's callback
        """Wake who waits here; who waits in other processes too if the outbox was written to."""
        self.ring()
        if queued:
            self._to_tell = True
            self._busy.set()

    def ring(self) -> None:
        """Wake all who wait now in this process."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, max_wait_s: float) -> None:
        """Return at the next commit, or after `max_wait_s`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        try:
            async with asyncio.timeout(max_wait_s):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(future, None)

    async def run(self) -> None:
        """Listen and tell, until cancelled; a connection that is lost is replaced."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                with translated(self._where):
                    async with self._dial() as conn:
                        await conn.add_listener(self._channel, self._heard)
                        conn.add_termination_listener(self._lost)
                        pause_s = _FIRST_PAUSE_S
                        self.ring()  # what was told while nobody listened
                        await self._tell(conn)
            except MotetError as err:
                _log.warning("postgres.listen", extra={"error": str(err)})
            await self._clock.sleep(pause_s * (0.5 + self._clock.random() / 2))
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)

    async def _tell(self, conn: asyncpg.Connection) -> None:
        while not conn.is_closed():
            await self._busy.wait()
            self._busy.clear()
            if self._to_tell and not conn.is_closed():
                self._to_tell = False
                await conn.execute("SELECT pg_notify($1, '')", self._channel)

    def _heard(self, *_: object) -> None:
        self.ring()

    def _lost(self, *_: object) -> None:
        self._busy.set()
