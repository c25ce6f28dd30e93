"""How connections are opened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from motet.drivers.postgres.options import Options

_CLOSING_S = 2.0
_GRACE_S = 2.0  # after the server's own limit for a statement


@asynccontextmanager
async def dial(options: Options, *, patient: bool = False) -> AsyncIterator[asyncpg.Connection]:
    """Open one connection; leaving the block closes it. A patient one has no time limits."""
    conn = await asyncpg.connect(
        host=options.host,
        port=options.port,
        database=options.database,
        user=options.user,
        password=options.password or None,
        ssl=options.tls(),
        timeout=options.timeout_s,
        command_timeout=None if patient else options.timeout_s + _GRACE_S,
        server_settings=_settings(options, patient=patient),
    )
    try:
        yield conn
    finally:
        conn.terminate()


@asynccontextmanager
async def make_pool(options: Options) -> AsyncIterator[asyncpg.Pool]:
    """Make a pool; it connects as it needs to, and replaces connections that were lost."""
    pool = asyncpg.create_pool(
        host=options.host,
        port=options.port,
        database=options.database,
        user=options.user,
        password=options.password or None,
        ssl=options.tls(),
        timeout=options.timeout_s,
        command_timeout=options.timeout_s + _GRACE_S,
        server_settings=_settings(options, patient=False),
        min_size=0,
        max_size=options.connections,
        reset=_as_it_is,
    )
    async with asyncio.timeout(options.timeout_s):
        await pool
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(_CLOSING_S):
                await pool.close()
        except TimeoutError:
            pool.terminate()


async def _as_it_is(conn: object) -> None:
    """Nothing is set on a connection after it was opened, so nothing is to be reset."""


def _settings(options: Options, *, patient: bool) -> dict[str, str]:
    limit_ms = "0" if patient else str(round(options.timeout_s * 1000))
    return {
        "application_name": "motet",
        "search_path": f'"{options.schema}"',
        "jit": "off",  # our statements are short; planning must be too
        # What a process that was stopped or cut off holds is taken from it.
        "statement_timeout": limit_ms,
        "idle_in_transaction_session_timeout": limit_ms,
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }
