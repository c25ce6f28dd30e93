"""One PostgreSQL schema, opened: a pool, writers, news of commits, upkeep."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import asyncpg

from motet.core.errors import TransientError
from motet.core.ids import IdSource
from motet.core.ports import Clock
from motet.drivers.beside import beside
from motet.drivers.postgres import upkeep
from motet.drivers.postgres.connection import dial, make_pool
from motet.drivers.postgres.errors import DRIVER, lost, translated
from motet.drivers.postgres.news import News
from motet.drivers.postgres.options import Options, parse
from motet.drivers.postgres.schema import migrate
from motet.drivers.postgres.transaction import Transaction, Unit
from motet.drivers.postgres.writer import Writer

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Database:
    """One schema, for one event loop. Made by `open_database`.

    Half of the connections write, so that a read never waits for a long write alone.
    """

    def __init__(self, options: Options, pool: asyncpg.Pool, clock: Clock) -> None:
        self.where = options.where
        self.clock = clock
        self.ids = IdSource(clock)
        self.news = News(
            lambda: dial(options), self.where, channel=f"motet_{options.schema}", clock=clock
        )
        self.writer = Writer(pool, self.where, clock=clock, committed=self.news.committed)
        self._pool = pool

    async def write(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        *,
        size_bytes: int = 0,
        single: bool = False,
        serial: bool = False,
    ) -> T:
        """Run `work` in a write transaction and return what it returned; durable on return.

        It may be run more than once. When it raises, nothing of it is applied. When cancelled,
        all of it was applied, or nothing. `size_bytes` is about how much it writes; `single` says
        that it is one statement, which takes one round trip; `serial` that it takes a lock which
        others take, so that those that wait go into one transaction.

        Raises:
            Unavailable: nothing was applied, or the connection was lost and nobody knows.
        """
        unit = Unit(work, size_bytes, single=single, serial=serial)
        self.writer.submit(unit)
        return cast("T", await unit.settled())

    async def rows(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """Run a query and return every row.

        A connection that the server has ended, as when it was restarted, costs a second try.

        Raises:
            Unavailable: the database cannot be read.
        """
        with translated(self.where):
            try:
                return await self._fetch(sql, values)
            except DRIVER as err:
                if isinstance(err, TimeoutError) or not lost(err):
                    raise
            return await self._fetch(sql, values)

    async def _fetch(self, sql: str, values: Sequence[object]) -> list[asyncpg.Record]:
        async with self._pool.acquire() as conn:
            try:
                return await conn.fetch(sql, *values)
            except DRIVER as err:
                if lost(err):
                    conn.terminate()
                raise

    async def tend(self) -> None:
        """Forget what nobody needs again, now and then, until cancelled."""
        while True:
            try:
                more = await self.write(upkeep.forget)
            except TransientError as err:
                _log.warning("postgres.upkeep", extra={"error": str(err)})
                more = False
            if not more:
                await self.clock.sleep(upkeep.EVERY_S)


@asynccontextmanager
async def open_database(url: str, *, clock: Clock) -> AsyncIterator[Database]:
    """Open the schema that a `postgres://` URL names, made if it is not there.

    Any number of processes on any machines may have it open.

    Raises:
        ConfigError: the URL, the server or the schema is not one that Motet can work with.
        Unavailable: the server does not answer.
    """
    options = parse(url)
    with translated(options.where):
        async with dial(options, patient=True) as conn:
            await migrate(conn, options, now_us=clock.now_us())
    async with make_pool(options) as pool:
        database = Database(options, pool, clock)
        writers = options.connections // 2
        work = {f"postgres/writer {n}": database.writer.run() for n in range(1, writers)}
        work |= {"postgres/writer 0": database.writer.run(serial=True)}
        work |= {"postgres/news": database.news.run(), "postgres/upkeep": database.tend()}
        async with beside(work):
            try:
                yield database
            finally:
                database.writer.close()


__all__ = ["Database", "open_database"]
