"""The writers: a few tasks, a transaction each, several units of work in it when many wait.

```
 submit ─▶ queue ─▶ writer ─▶ BEGIN · unit · unit · COMMIT ─▶ who waits is told
               └──▶ writer ─▶ BEGIN · unit · COMMIT
```
"""

import asyncio
from collections.abc import Callable, Sequence

from asyncpg import Pool
from asyncpg.pool import PoolConnectionProxy

from motet.core.errors import MotetError, Unavailable
from motet.core.ports import Clock
from motet.drivers.postgres.errors import DRIVER, lost, transient, translate
from motet.drivers.postgres.transaction import Transaction, Unit

_UNITS = 32  # most units in one transaction
_BYTES = 256 << 10  # a transaction of this size is long enough to go alone
_TRIES = 3  # of one unit that meets deadlocks


class Writer:
    """Runs units in transactions. One that raises has nothing applied; others are unharmed."""

    def __init__(
        self, pool: Pool, where: str, *, clock: Clock, committed: Callable[[bool], None]
    ) -> None:
        self._pool = pool
        self._where = where
        self._clock = clock
        self._committed = committed  # told whether the outbox was written to
        self._queue: asyncio.Queue[Unit] = asyncio.Queue()
        self._serial: asyncio.Queue[Unit] = asyncio.Queue()
        self._closed = False

    def submit(self, unit: Unit) -> None:
        """Queue a unit."""
        if self._closed:
            unit.fail(_closed(self._where))
        else:
            (self._serial if unit.serial else self._queue).put_nowait(unit)

    def close(self) -> None:
        """Refuse what is queued and what comes."""
        self._closed = True
        for queue in (self._queue, self._serial):
            while not queue.empty():
                queue.get_nowait().fail(_closed(self._where))

    async def run(self, *, serial: bool = False) -> None:
        """Run units until cancelled; several may run at once, each with its connection.

        One of them runs the serial units, and no others.
        """
        queue = self._serial if serial else self._queue
        while True:
            units = await _take(queue)
            try:
                await self._write(units)
            except BaseException as err:
                for unit in units:
                    unit.fail(err if isinstance(err, Exception) else _closed(self._where))
                raise

    async def _write(self, units: Sequence[Unit]) -> None:
        if len(units) > 1:
            try:
                return await self._attempt(units)
            except _Alone:  # one of them is at fault: each by itself
                pass
        for unit in units:
            await self._one(unit)

    async def _one(self, unit: Unit) -> None:
        for _ in range(_TRIES):
            try:
                return await self._attempt([unit])
            except _Alone as alone:
                error = alone.error
                if not transient(error):
                    break
        unit.fail(_ours(error, self._where))

    async def _attempt(self, units: Sequence[Unit]) -> None:
        """Run units in one transaction and settle them.

        Raises:
            _Alone: nothing was applied; a unit, or the company it was in, is at fault.
        """
        try:
            async with self._pool.acquire() as conn:
                values, queued = await self._transact(conn, units)
        except DRIVER as err:
            for unit in units:
                unit.fail(_caused(translate(err, self._where), err))
            return
        for unit, value in zip(units, values, strict=True):
            unit.succeed(value)
        self._committed(queued)

    async def _transact(
        self, conn: PoolConnectionProxy, units: Sequence[Unit]
    ) -> tuple[list[object], bool]:
        tx = Transaction(conn, now_us=self._clock.now_us())
        begun = len(units) > 1 or not units[0].single
        try:
            if begun:
                await conn.execute("BEGIN")
            values = await self._run(tx, units)
            if begun:
                await conn.execute("COMMIT")
        except _Alone:
            if begun:
                await conn.execute("ROLLBACK")
            raise
        except BaseException:
            conn.terminate()  # whatever state it is in, nobody meets it again
            raise
        return values, tx.queued

    async def _run(self, tx: Transaction, units: Sequence[Unit]) -> list[object]:
        try:
            return [await unit.work(tx) for unit in units]
        except DRIVER as err:
            if lost(err):
                raise
            raise _Alone(err) from err
        except Exception as err:
            raise _Alone(err) from err


async def _take(queue: asyncio.Queue[Unit]) -> list[Unit]:
    units: list[Unit] = []
    size = 0
    while not units or not (queue.empty() or len(units) == _UNITS or size >= _BYTES):
        unit = await queue.get()
        if unit.take():
            units.append(unit)
            size += unit.size_bytes
    return units


class _Alone(Exception):
    """A unit raised; the transaction is to be rolled back."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _ours(error: Exception, where: str) -> Exception:
    return _caused(translate(error, where), error) if isinstance(error, DRIVER) else error


def _caused(error: MotetError, cause: BaseException) -> MotetError:
    error.__cause__ = cause
    return error


def _closed(where: str) -> Unavailable:
    return Unavailable(f"{where} was closed before this was written")
