"""URLs become transports and stores here, and nowhere else."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from motet.core.checks import Diagnosis, fail
from motet.core.clock import SystemClock
from motet.core.errors import ConfigError
from motet.core.ports import Clock, Store, Transport

DEFAULT_URL = "sqlite:///.motet/motet.db"
"""One file in the current folder: log, progress, state, streams, outbox and dead letters."""


class Backends(msgspec.Struct, frozen=True):
    """A transport and a store, opened."""

    url: str
    transport: Transport
    store: Store


@asynccontextmanager
async def connect(url: str = DEFAULT_URL, *, clock: Clock | None = None) -> AsyncIterator[Backends]:
    """Open the transport and the store that `url` names; leaving the block closes them.

    `sqlite:///FILE` is relative to the current folder, `sqlite:////FILE` is not; the folder is
    made if it is missing. `memory://` keeps nothing.

    Raises:
        ConfigError: the scheme is unknown, or the place cannot be used.
    """
    opener = _OPENERS[_known_scheme(url)]
    async with opener(url, clock or SystemClock()) as (transport, store):
        yield Backends(url, transport, store)


def diagnose(url: str, *, now_us: int) -> Diagnosis:
    """Look at the place that `url` names, without changing it and before it is opened.

    Raises:
        ConfigError: the scheme is unknown.
    """
    if _known_scheme(url) == "memory":
        nobody = fail("store", "memory:// lives inside one process", "give --url sqlite:///FILE")
        return Diagnosis((nobody,), usable=False)
    from motet.stores.sqlite import diagnose as diagnose_file

    return diagnose_file(url, now_us=now_us)


def database_file(url: str) -> Path | None:
    """Return the absolute path of the file that `url` names; None: it names none.

    Raises:
        ConfigError: the URL is of no use.
    """
    if urlsplit(url).scheme != "sqlite":
        return None
    from motet.stores.sqlite import parse_url

    return Path(parse_url(url).path)


def _known_scheme(url: str) -> str:
    scheme = urlsplit(url).scheme
    if scheme not in _OPENERS:
        raise ConfigError(
            f"{url!r}: unknown scheme {scheme!r}; use sqlite:///FILE (the default is "
            f"{DEFAULT_URL}) or memory://"
        )
    return scheme


@asynccontextmanager
async def _memory(url: str, clock: Clock) -> AsyncIterator[tuple[Transport, Store]]:
    from motet.stores.memory import MemoryLog, MemoryStore
    from motet.transports.memory import MemoryTransport

    log = MemoryLog(clock)
    yield MemoryTransport(log), MemoryStore(log)


@asynccontextmanager
async def _sqlite(url: str, clock: Clock) -> AsyncIterator[tuple[Transport, Store]]:
    from motet.stores.sqlite import SqliteStore, open_database, parse_url
    from motet.transports.sqlite import SqliteTransport

    folder = Path(parse_url(url).path).parent
    with suppress(OSError):  # what is wrong with the place is said by those who open it
        folder.mkdir(exist_ok=True)
    async with open_database(url, clock=clock) as database:
        yield SqliteTransport(database), SqliteStore(database)


Opener = Callable[[str, Clock], AbstractAsyncContextManager[tuple[Transport, Store]]]

_OPENERS: dict[str, Opener] = {"memory": _memory, "sqlite": _sqlite}
