"""What a unit of work writes with, and the unit: what is applied whole, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
from asyncpg.pool import PoolConnectionProxy


class Transaction:
    """The open write transaction, as a unit of work sees it."""

    def __init__(self, conn: PoolConnectionProxy, *, now_us: int) -> None:
        self.now_us = now_us
        self.queued = False  # set by who writes to the outbox: relays elsewhere are to look
        self._conn = conn

    async def rows(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """Run a query and return every row."""
        return await self._conn.fetch(sql, *values)

    async def one(self, sql: str, *values: object) -> object:
        """Run a query and return the first column of its first row, or None."""
        return await self._conn.fetchval(sql, *values)

    async def change(self, sql: str, *values: object) -> int:
        """Run a statement and return how many rows it changed."""
        status = await self._conn.execute(sql, *values)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0


Work = Callable[[Transaction], Awaitable[object]]


class Unit:
    """A function on its way through a transaction, and the future of who waits for it."""

    def __init__(self, work: Work, size_bytes: int, *, single: bool, serial: bool) -> None:
        self.work = work
        self.size_bytes = size_bytes
        self.single = single  # it is one statement: a transaction by itself
        self.serial = serial  # it would only wait for others of its kind: all of them together
        self.future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.taken = False  # by a writer: from here on it is too late to give it up

    async def settled(self) -> object:
        """Return what the work returned, once that is durable.

        A cancelled wait gives the unit up if no writer has it, and else lets it finish first: who
        reads after the wait sees all of it or nothing.
        """
        try:
            await asyncio.wait([self.future])
        except asyncio.CancelledError:
            if self.taken:
                await asyncio.wait([self.future])
                self.future.exception()  # nobody else is going to look
            else:
                self.future.cancel()
            raise
        return self.future.result()

    def take(self) -> bool:
        """Whether somebody still waits; if so, it is going to be run."""
        self.taken = not self.future.done()
        return self.taken

    def fail(self, error: BaseException) -> None:
        """Tell who waits that nothing of it was applied, or that nobody knows."""
        if not self.future.done():
            self.future.set_exception(error)

    def succeed(self, value: object) -> None:
        """Tell who waits that it is durable."""
        if not self.future.done():
            self.future.set_result(value)
