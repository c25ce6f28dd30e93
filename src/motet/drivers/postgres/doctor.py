"""What is wrong with a PostgreSQL store, or would be: checks for `motet doctor`."""

import asyncpg

from motet.core.checks import Check, Diagnosis, fail, ok, warn
from motet.core.errors import MotetError, Unavailable
from motet.drivers.postgres import schema
from motet.drivers.postgres.connection import dial
from motet.drivers.postgres.errors import translated
from motet.drivers.postgres.options import Options, parse


async def diagnose(url: str) -> Diagnosis:
    """Check the server and the schema that a `postgres://` URL names, without changing them."""
    try:
        options = parse(url)
        with translated(options.where):
            async with dial(options) as conn:
                return await _look(conn, options)
    except Unavailable as err:
        advice = "start it, or correct host and port of the URL"
        return Diagnosis((fail("postgres", str(err), advice),), usable=False)
    except MotetError as err:
        found, _, advice = str(err).rpartition(": ")
        return Diagnosis((fail("postgres", found or advice, advice),), usable=False)


async def _look(conn: asyncpg.Connection, options: Options) -> Diagnosis:
    version = await conn.fetchval("SHOW server_version")
    server = ok("postgres", f"PostgreSQL {version} answers at {options.where}")
    tables = await _schema(conn, options)
    checks = (server, await _durability(conn), tables)
    return Diagnosis(checks, usable=not tables.advice)


async def _durability(conn: asyncpg.Connection) -> Check:
    off = [
        name
        for name in ("fsync", "full_page_writes", "synchronous_commit")
        if await conn.fetchval(f"SHOW {name}") == "off"
    ]
    if off:
        return warn(
            "durability",
            f"{', '.join(off)} off: a power cut may take the last commits, or more",
            f"set {', '.join(off)} to on in postgresql.conf, unless that is what you want",
        )
    return ok("durability", "fsync and synchronous_commit are on: a commit survives a power cut")


async def _schema(conn: asyncpg.Connection, options: Options) -> Check:
    found, known = await schema.version(conn, options.schema), schema.latest()
    if found > known:
        return fail(
            "schema",
            f"{options.schema!r} has version {found}, made by a newer Motet; this one knows "
            f"{known}",
            "pip install --upgrade motet",
        )
    if not found:
        return warn("schema", f"{options.schema!r} is empty", "any other command makes the tables")
    if found < known:
        return warn(
            "schema",
            f"{options.schema!r} has version {found}; this Motet knows {known}",
            "any other command brings it up to date; look again after that",
        )
    return ok("schema", f"{options.schema!r} has version {found}, the newest")
