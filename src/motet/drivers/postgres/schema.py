"""The tables: numbered SQL files, applied in order when the database is opened."""

import re
from importlib import resources

import asyncpg
import msgspec

from motet.core.errors import ConfigError
from motet.drivers.postgres.options import Options

_NAME = re.compile(r"(\d{4})_\w+\.sql")
_OLDEST = 130_000  # the first version with gen_random_uuid()
_FOUND = """
SELECT table_name FROM information_schema.tables
WHERE table_schema = $1 AND table_name = 'schema_migrations'
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('motet.migrate.' || $1, 0))"


class Migration(msgspec.Struct, frozen=True, order=True):
    """One step of the schema."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All steps, in order."""
    folder = resources.files("motet.drivers.postgres") / "migrations"
    return sorted(
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if (match := _NAME.fullmatch(file.name))
    )


def latest() -> int:
    """The schema this version of Motet writes."""
    return migrations()[-1].number


async def version(conn: asyncpg.Connection, schema: str) -> int:
    """The number of the last migration applied; 0: none."""
    if await conn.fetchval(_FOUND, schema) is None:
        return 0
    found = await conn.fetchval(f'SELECT max(number) FROM "{schema}".schema_migrations')
    return found if isinstance(found, int) else 0


async def migrate(conn: asyncpg.Connection, options: Options, *, now_us: int) -> None:
    """Bring the tables to the latest schema; several processes may do so at once.

    Raises:
        ConfigError: a newer Motet made them, or the server is too old.
    """
    await _check_server(conn, options)
    steps = migrations()
    if await version(conn, options.schema) == steps[-1].number:
        return
    async with conn.transaction():
        await conn.execute(_LOCK, options.schema)
        found = await version(conn, options.schema)
        if found > steps[-1].number:
            raise ConfigError(
                f"{options.where} has schema {found} in {options.schema!r}, made by a newer Motet; "
                f"this one knows {steps[-1].number}: pip install --upgrade motet"
            )
        await _apply(conn, options, [step for step in steps if step.number > found], now_us)


async def _check_server(conn: asyncpg.Connection, options: Options) -> None:
    number, encoding = await conn.fetchrow(
        "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')"
    ) or (0, "")
    if number < _OLDEST:
        raise ConfigError(
            f"{options.where} is PostgreSQL {number // 10_000}: 13 or later is needed"
        )
    if encoding != "UTF8":
        raise ConfigError(
            f"{options.where} stores text as {encoding}: CREATE DATABASE ... ENCODING 'UTF8'"
        )


async def _apply(
    conn: asyncpg.Connection, options: Options, steps: list[Migration], now_us: int
) -> None:
    known = await conn.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = $1", options.schema)
    if known is None:
        await conn.execute(f'CREATE SCHEMA "{options.schema}"')
    await conn.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (number INT PRIMARY KEY, name TEXT NOT NULL, applied_us BIGINT NOT NULL)"
    )
    for step in steps:
        await _one(conn, options, step)
        await conn.execute(
            "INSERT INTO schema_migrations VALUES ($1, $2, $3)", step.number, step.name, now_us
        )


async def _one(conn: asyncpg.Connection, options: Options, step: Migration) -> None:
    try:
        await conn.execute(step.sql)
    except (asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError) as err:
        raise ConfigError(
            f"{options.where} has another program's tables in {options.schema!r} ({err}): give "
            "Motet a schema of its own with ?schema=NAME"
        ) from err
