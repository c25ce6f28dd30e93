from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from motet.core.ports import EventStore, Store
from motet.stores.postgres import PostgresStore
from motet.testing.contracts import EventStoreContract, StoreContract
from tests.postgres import fresh


class TestPostgresStore(StoreContract):
    @asynccontextmanager
    async def make(self) -> AsyncIterator[Store]:
        async with fresh() as database:
            yield PostgresStore(database)


class TestPostgresStreams(EventStoreContract):
    @asynccontextmanager
    async def make(self) -> AsyncIterator[EventStore]:
        async with fresh() as database:
            yield PostgresStore(database).streams
