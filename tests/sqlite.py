"""SQLite files for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from motet.core.clock import SystemClock
from motet.drivers.sqlite import Database, open_database


@asynccontextmanager
async def opened(path: object, *, options: str = "") -> AsyncIterator[Database]:
    """The database at a path."""
    async with open_database(f"sqlite:///{path}{options}", clock=SystemClock()) as database:
        yield database


@asynccontextmanager
async def fresh() -> AsyncIterator[Database]:
    """A new, empty database; gone when the block is left."""
    with TemporaryDirectory() as folder:
        async with opened(f"{folder}/motet.db") as database:
            yield database
