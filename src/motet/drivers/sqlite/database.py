"""One SQLite file, opened: a writer thread, a reader on the event loop, news of changes."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from typing import TypeVar, cast

import apsw

from motet.core.errors import TransientError, Unavailable
from motet.core.event import Batch, Partition
from motet.core.ids import IdSource
from motet.core.ports import Clock, TopicInfo
from motet.drivers.beside import beside
from motet.drivers.sqlite import log, topics, upkeep
from motet.drivers.sqlite.checkpointing import Checkpointer
from motet.drivers.sqlite.connection import (
    Location,
    check_path,
    check_version,
    connect,
    parse_url,
    translated,
)
from motet.drivers.sqlite.log import Topic
from motet.drivers.sqlite.presence import Presence, presence
from motet.drivers.sqlite.schema import migrate
from motet.drivers.sqlite.statements import Row, Value
from motet.drivers.sqlite.syncing import Syncer
from motet.drivers.sqlite.transaction import Transaction
from motet.drivers.sqlite.unit import Unit
from motet.drivers.sqlite.watch import Watch
from motet.drivers.sqlite.writer import Writer

T = TypeVar("T")

_log = logging.getLogger(__name__)

_QUEUED_BYTES = 64 << 20  # who wants to write more waits
_QUEUED_UNITS = 10_000
_PATIENCE_S = 30.0  # how long a unit waits for its turn among processes


class Database:
    """One file, for one event loop. Made by `open_database`.

    Reads run on the event loop: a few microseconds where the page cache has what is asked for, a
    disk's latency where it has not. Writes run on a thread, many in one transaction.
    """

    def __init__(
        self,
        location: Location,
        writer: apsw.Connection,
        reader: apsw.Connection,
        presence: Presence,
        clock: Clock,
    ) -> None:
        self.path = location.path
        self.clock = clock
        self.ids = IdSource(clock)
        self.reader = reader
        self.presence = presence
        self.watch = Watch(reader, clock)
        self._location = location
        self._topics: dict[str, Topic] = {}
        self._loop = asyncio.get_running_loop()
        self._queued_bytes = 0
        self._queued_units = 0
        self._for_room: deque[asyncio.Future[None]] = deque()
        # Without a syncer a commit survives a crash of the process, not one of the machine.
        durable = location.synchronous == "full"
        self._syncer = Syncer(location.path, settle=self._settle) if durable else None
        self._checkpointer = Checkpointer(connect(location))
        self._writer = Writer(
            writer,
            self._checkpointer,
            presence,
            clock=clock,
            committed=self._syncer.submit if self._syncer else self._settle,
            failed=self._settle,
        )

    async def write(self, work: Callable[[Transaction], T], *, size_bytes: int = 0) -> T:
        """Run `work` in a write transaction and return what it returned; durable on return.

        It runs on another thread, perhaps twice, so it only talks to the transaction. When it
        raises a `MotetError`, nothing of it is applied. Safe to cancel: then all of it was
        applied, or nothing. `size_bytes` is about how much it writes.

        Raises:
            Unavailable: the file cannot be written; nothing was applied.
        """
        while self._queued_bytes > _QUEUED_BYTES or self._queued_units >= _QUEUED_UNITS:
            await self._room()
        unit = Unit(work, self._loop.create_future(), size_bytes)
        self._queued_bytes += size_bytes
        self._queued_units += 1
        self._writer.submit(unit)
        patience = self._loop.call_later(_PATIENCE_S, self._give_up, unit)
        try:
            return cast("T", await unit.future)
        except asyncio.CancelledError:
            unit.claim()  # nothing of it will be applied, if it is not too late
            raise
        finally:
            patience.cancel()

    def rows(self, sql: str, values: Row = ()) -> list[tuple[Value, ...]]:
        """Run a query and return every row.

        Raises:
            Unavailable: the file cannot be read.
        """
        with translated(self.path):
            return self.reader.execute(sql, values).fetchall()

    def each(self, sql: str, values: Row = ()) -> Iterator[tuple[Value, ...]]:
        """Run a query and yield rows as they are asked for; to be exhausted or dropped at once.

        Raises:
            Unavailable: the file cannot be read.
        """
        with translated(self.path), closing(self.reader.cursor()) as cursor:
            yield from cursor.execute(sql, values)

    async def topic(self, name: str) -> Topic:
        """Return a topic, created with the default settings if it does not exist."""
        known = self._topics.get(name)
        if known is None:
            with translated(self.path):
                known = topics.find(self.reader, name)
            if known is None:
                count = self._location.partitions
                known = await self.write(lambda tx: topics.ensure(tx, name, count))
            self._topics[name] = known
        return known

    async def create_topic(self, name: str, *, partitions: int, retention_s: float | None) -> None:
        """Create a topic, or change its retention.

        Raises:
            ConfigError: it exists with another number of partitions.
        """
        keep_us = None if retention_s is None else round(retention_s * 1e6)
        self._topics[name] = await self.write(
            lambda tx: topics.create(tx, name, partitions, keep_us)
        )

    def topics(self) -> Sequence[TopicInfo]:
        """All topics by name."""
        with translated(self.path):
            return topics.infos(self.reader)

    def read(self, partition: Partition, *, offset: int, limit: int) -> Batch:
        """Return records from `offset` on; there may be more than `limit`, by less than a block."""
        with translated(self.path):
            return log.read(self.reader, partition, offset=offset, limit=limit)

    async def close(self) -> None:
        """Write what is queued, and close."""
        self._writer.stop()
        await asyncio.to_thread(self._writer.join, _PATIENCE_S)
        if self._syncer is not None:
            await asyncio.to_thread(self._syncer.finish)
        await asyncio.to_thread(self._checkpointer.finish)

    async def _room(self) -> None:
        room = self._loop.create_future()
        self._for_room.append(room)
        await room

    def _give_up(self, unit: Unit) -> None:
        if unit.claim() and not unit.future.done():
            unit.future.set_exception(
                Unavailable(
                    f"another process has kept {self.path!r} locked for {_PATIENCE_S:.0f} s: "
                    f"`fuser {self.path}` names those that have it open; one may be stopped"
                )
            )

    def _settle(self, units: Sequence[Unit]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._settled, units)

    def _settled(self, units: Sequence[Unit]) -> None:
        for unit in units:
            unit.settle()
            self._queued_bytes -= unit.size_bytes
        self._queued_units -= len(units)
        while self._for_room:
            room = self._for_room.popleft()
            if not room.done():
                room.set_result(None)
        self.watch.ring()


@asynccontextmanager
async def open_database(url: str, *, clock: Clock) -> AsyncIterator[Database]:
    """Open the file a `sqlite:///` URL names, made if it is not there, for this event loop.

    Several processes on one machine may have it open; a network file system will not do.

    Raises:
        ConfigError: the URL, the file or the SQLite is not one that Motet can work with.
        Unavailable: another program holds the file.
    """
    location = parse_url(url)
    check_version()
    check_path(location.path)
    with presence(location.path) as present:
        writer = await asyncio.to_thread(_prepare, location, present, clock)
        with closing(connect(location, readonly=True)) as reader:
            database = Database(location, writer, reader, present, clock)
            work = {"sqlite/watch": database.watch.run(), "sqlite/upkeep": _upkeep(database)}
            try:
                async with beside(work):
                    yield database
            finally:
                await database.close()


def _prepare(location: Location, present: Presence, clock: Clock) -> apsw.Connection:
    # In our turn: two processes that switch one new file to WAL at once would fail.
    with present.turn():
        conn = connect(location)
        try:
            with translated(location.path, opening=True):
                migrate(conn, now_us=clock.now_us())
        except BaseException:
            conn.close()
            raise
        return conn


async def _upkeep(database: Database) -> None:
    while True:
        try:
            more = await database.write(upkeep.forget)
        except TransientError as err:
            _log.warning("sqlite.upkeep", extra={"error": str(err)})
            more = False
        if not more:
            await database.clock.sleep(upkeep.EVERY_S)


__all__ = ["Database", "open_database"]
