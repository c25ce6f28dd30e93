from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from motet.core.clock import SystemClock
from motet.core.ports import EventStore, Store, Transport
from motet.drivers.sqlite import upkeep
from motet.stores.sqlite import Database, SqliteStore, open_database
from motet.testing.contracts import (
    EventStoreContract,
    SharedTransactionContract,
    StoreContract,
    TransportContract,
)
from motet.transports.sqlite import SqliteTransport


@asynccontextmanager
async def database() -> AsyncIterator[Database]:
    with TemporaryDirectory() as folder:
        async with open_database(f"sqlite:///{folder}/motet.db", clock=SystemClock()) as opened:
            yield opened


class TestSqliteTransport(TransportContract):
    guarantees = SqliteTransport.guarantees

    @asynccontextmanager
    async def make(self) -> AsyncIterator[Transport]:
        async with database() as self.opened:
            yield SqliteTransport(self.opened)

    async def forget(self, transport: Transport) -> None:
        await self.opened.write(upkeep.forget)


class TestSqliteStore(StoreContract):
    @asynccontextmanager
    async def make(self) -> AsyncIterator[Store]:
        async with database() as opened:
            yield SqliteStore(opened, shared=False)


class TestSqliteStreams(EventStoreContract):
    @asynccontextmanager
    async def make(self) -> AsyncIterator[EventStore]:
        async with database() as opened:
            yield SqliteStore(opened).streams


class TestSqlitePair(SharedTransactionContract):
    @asynccontextmanager
    async def make(self) -> AsyncIterator[tuple[Transport, Store]]:
        async with database() as opened:
            yield SqliteTransport(opened), SqliteStore(opened)
