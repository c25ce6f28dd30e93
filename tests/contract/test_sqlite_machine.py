from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from tempfile import TemporaryDirectory

from hypothesis import settings

from motet.core.clock import SystemClock
from motet.core.ports import Store
from motet.stores.sqlite import SqliteStore, open_database
from motet.testing.machines import StoreMachine


@asynccontextmanager
async def store() -> AsyncIterator[Store]:
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/motet.db?synchronous=normal"
        async with open_database(url, clock=SystemClock()) as opened:
            yield SqliteStore(opened, shared=False)


class SqliteMachine(StoreMachine):
    """Whatever is done to it, the SQLite store says what the model says."""

    def make(self) -> AbstractAsyncContextManager[Store]:
        return store()


SqliteMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestSqliteMachine = SqliteMachine.TestCase
