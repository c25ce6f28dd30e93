"""PostgreSQL schemas for tests."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from motet.core.clock import SystemClock
from motet.stores.postgres import Database, open_database
from tests.services import real


@asynccontextmanager
async def schema() -> AsyncIterator[str]:
    """The URL of a schema that nobody else has; it is dropped when the block is left."""
    url, name = real("postgres"), f"t{secrets.token_hex(6)}"
    try:
        yield f"{url}?schema={name}"
    finally:
        await execute(url, f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


@asynccontextmanager
async def fresh() -> AsyncIterator[Database]:
    """A new, empty schema, opened; gone when the block is left."""
    async with schema() as url, open_database(url, clock=SystemClock()) as database:
        yield database


async def execute(url: str, sql: str) -> None:
    """Run statements as anybody's SQL would."""
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(sql)
    finally:
        await conn.close()
