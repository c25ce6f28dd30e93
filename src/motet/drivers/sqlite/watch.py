"""News: who waits for the file to change is woken, whichever process changed it."""

import asyncio

import apsw

from motet.core.ports import Clock

_LEAST_S, _MOST_S = 0.001, 0.020  # between two looks; longer while nothing happens
_GROWTH = 1.2


class Watch:
    """Wakes everybody who waits, at each commit.

    Commits of this process ring at once. For those of others, `run` looks at
    `PRAGMA data_version` (3 us): every millisecond at first, every 20 ms after a tenth of a
    second of nothing, never while nobody waits.
    """

    def __init__(self, reader: apsw.Connection, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._wanted = asyncio.Event()
        self._seen: object = None

    def ring(self) -> None:
        """Wake all who wait now."""
        self._news()  # what the reader can see now, those who wake will see
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, max_wait_s: float) -> None:
        """Return at the next change, or after `max_wait_s`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        self._wanted.set()
        try:
            async with asyncio.timeout(max_wait_s):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(future, None)

    async def run(self) -> None:
        """Look for the commits of other processes, until cancelled."""
        delay_s = _LEAST_S
        while True:
            if not self._waiting:
                self._wanted.clear()
                await self._wanted.wait()
            if self._news():
                delay_s = _LEAST_S
                self.ring()
            else:
                delay_s = min(_MOST_S, delay_s * _GROWTH)
            await self._clock.sleep(delay_s)

    def _news(self) -> bool:
        try:
            version: object = self._reader.execute("PRAGMA data_version").get
        except apsw.Error:
            return True  # who wakes reads, and gets an error that says what is wrong
        changed = version != self._seen
        self._seen = version
        return changed
