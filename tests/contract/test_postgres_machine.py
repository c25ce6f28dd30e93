from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from hypothesis import settings

from motet.core.ports import Store
from motet.stores.postgres import PostgresStore
from motet.testing.machines import StoreMachine
from tests.postgres import fresh


@asynccontextmanager
async def store() -> AsyncIterator[Store]:
    async with fresh() as database:
        yield PostgresStore(database)


class PostgresMachine(StoreMachine):
    """Whatever is done to it, the PostgreSQL store says what the model says."""

    def make(self) -> AbstractAsyncContextManager[Store]:
        return store()


PostgresMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
TestPostgresMachine = PostgresMachine.TestCase
