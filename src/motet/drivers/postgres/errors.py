"""What errors of asyncpg and of the server mean to a caller."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from motet.core.errors import CodecError, ConfigError, MotetError, Unavailable

DRIVER = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError is one
)
"""Everything that asyncpg raises."""

# SQLSTATE classes and codes, https://www.postgresql.org/docs/current/errcodes-appendix.html.
# Connection lost, rolled back (serialization, deadlock), resources, operator, system, internal.
_FOR_NOW = ("08", "40", "53", "57", "58", "XX")
_FOR_NOW_TOO = frozenset(
    {
        "0A000",  # a cached plan from before a migration
        "25006",  # read-only: a standby, for now
        "25P02",  # an earlier statement of the transaction failed
        "25P03",  # idle in a transaction for too long
        "55P03",  # a lock was not to be had in time
    }
)
_AGAIN = frozenset({"40001", "40P01"})


def transient(err: BaseException) -> bool:
    """Whether the server took the transaction back so that it is tried again: a deadlock."""
    return isinstance(err, asyncpg.PostgresError) and err.sqlstate in _AGAIN


def lost(err: BaseException) -> bool:
    """Whether the connection is of no more use, or may be."""
    if isinstance(err, asyncpg.PostgresError):
        state = str(err.sqlstate)
        return state.startswith(("08", "57P", "58", "XX")) or state in ("25006", "25P03")
    return not isinstance(err, asyncpg.DataError)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise what asyncpg raises as an error of ours: the one place where that is done."""
    try:
        yield
    except DRIVER as err:
        raise translate(err, where) from err


def translate(err: BaseException, where: str) -> MotetError:
    """Return the error of ours that tells a caller what to do. `where` holds no secret."""
    if isinstance(err, asyncpg.DataError | UnicodeError):
        return CodecError(f"{where} cannot hold a value: {err}")
    if isinstance(err, TimeoutError):
        return Unavailable(f"{where} did not answer in time: is it overloaded, or out of reach?")
    if not isinstance(err, asyncpg.PostgresError):
        why = str(err) or type(err).__name__
        return Unavailable(f"{where} does not answer: {why}; does it run, and can it be reached?")
    state = str(err.sqlstate)
    if state.startswith(_FOR_NOW) or state in _FOR_NOW_TOO:
        return Unavailable(f"{where}: {err} ({state})")
    if state.startswith("22"):
        return CodecError(f"{where} cannot hold a value: {err} ({state})")
    if state.startswith("28"):
        return ConfigError(f"{where} does not let us in: {err}: check user and password of the URL")
    if state == "3D000":
        return ConfigError(f"{where}: {err}: create it, or name another in the URL")
    if state == "42501":
        return ConfigError(f"{where}: {err}: grant it to the user of the URL")
    return ConfigError(f"{where}: the tables are not as Motet made them: {err} ({state})")
