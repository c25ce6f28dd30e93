"""URLs become transports and stores."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from motet.backends.schemes import BROKERS, DEFAULT_URL, STORE, known_scheme, module
from motet.core.checks import Diagnosis, fail
from motet.core.clock import SystemClock
from motet.core.errors import ConfigError
from motet.core.ports import Clock, Store, Transport
from motet.telemetry import masked

TransportOpener = Callable[[str, Clock], AbstractAsyncContextManager[Transport]]
Opener = Callable[[str, Clock], AbstractAsyncContextManager[tuple[Transport, Store]]]


class Backends(msgspec.Struct, frozen=True):
    """A transport and a store, opened."""

    url: str
    transport: Transport
    store: Store
    store_url: str = ""  # the same as `url` where one file is both


@asynccontextmanager
async def connect(
    url: str = DEFAULT_URL, *, store: str | None = None, clock: Clock | None = None
) -> AsyncIterator[Backends]:
    """Open the transport that `url` names and the store that `store` names.

    Leaving the block closes them. `sqlite:///FILE` is relative to the current folder,
    `sqlite:////FILE` is not; the folder is made if it is missing. `memory://` keeps nothing. A
    broker (`kafka://`, `rabbitmq://`, `redis://`) has its store in `DEFAULT_URL` if none is named,
    and `postgres://` is a store for it that several machines share; the others are both in one,
    and then what is emitted joins the commit.

    Raises:
        ConfigError: a scheme is unknown, its extra is not installed, or the place cannot be used.
    """
    clock = clock or SystemClock()
    scheme = known_scheme(url)
    if scheme == "postgres":
        raise ConfigError(
            f"{STORE.form} is a store, and no log: name it with --store, and a broker or a file "
            "with --url"
        )
    store_url = store or (DEFAULT_URL if scheme in BROKERS else url)
    if known_scheme(store_url) in BROKERS:
        raise ConfigError(
            f"{masked(store_url)!r} is no store, for a broker keeps no state: name a file or a "
            "database, with --store sqlite:///FILE or postgres://USER:PASSWORD@HOST/DB"
        )
    if scheme not in BROKERS and store_url == url:
        async with _BOTH[scheme](url, clock) as (transport, kept):
            yield Backends(url, transport, kept, url)
        return
    async with (
        _transport(scheme)(url, clock) as transport,
        _store(store_url, clock) as beside,
    ):
        yield Backends(url, transport, beside, store_url)


async def diagnose(url: str, *, now_us: int) -> Diagnosis:
    """Look at the place that `url` names, without changing it and before it is opened.

    Raises:
        ConfigError: the scheme is unknown.
    """
    scheme = known_scheme(url)
    if scheme == "memory":
        nobody = fail("store", "memory:// lives inside one process", "give --url sqlite:///FILE")
        return Diagnosis((nobody,), usable=False)
    if scheme in BROKERS:
        return Diagnosis((), usable=True)  # it says itself what is wrong when it is opened
    if scheme == "postgres":
        found: Diagnosis = await module("postgres", STORE).diagnose(url)
        return found
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


def broker(url: str) -> bool:
    """Whether the transport is another system than the store.

    Raises:
        ConfigError: the scheme is unknown.
    """
    return known_scheme(url) in BROKERS


@asynccontextmanager
async def open_transport(url: str, *, clock: Clock) -> AsyncIterator[Transport]:
    """Open the transport that `url` names, and no store; leaving the block closes it.

    Raises:
        ConfigError: the scheme is unknown, its extra is not installed, or the URL is of no use.
    """
    async with _transport(known_scheme(url))(url, clock) as transport:
        yield transport


@asynccontextmanager
async def open_store(url: str, *, clock: Clock) -> AsyncIterator[Store]:
    """Open the store that `url` names, of things whose log is elsewhere.

    Raises:
        ConfigError: it names none, or the place cannot be used.
    """
    if known_scheme(url) in BROKERS:
        raise ConfigError(f"{masked(url)!r} is no store: name a file, sqlite:///FILE")
    async with _store(url, clock) as store:
        yield store


def _transport(scheme: str) -> TransportOpener:
    if scheme not in BROKERS:
        return _alone(_BOTH[scheme])
    opener: TransportOpener = module(scheme, BROKERS[scheme]).open_transport
    return opener


def _alone(opener: Opener) -> TransportOpener:
    @asynccontextmanager
    async def open_one(url: str, clock: Clock) -> AsyncIterator[Transport]:
        async with opener(url, clock) as (transport, _):
            yield transport

    return open_one


@asynccontextmanager
async def _store(url: str, clock: Clock) -> AsyncIterator[Store]:
    """Open a store whose log is elsewhere: what it emits waits in its outbox."""
    scheme = known_scheme(url)
    if scheme == "memory":
        from motet.stores.memory import MemoryLog, MemoryStore

        yield MemoryStore(MemoryLog(clock), shared=False)
        return
    if scheme == "postgres":
        postgres = module("postgres", STORE)
        async with postgres.open_database(url, clock=clock) as shared:
            yield postgres.PostgresStore(shared)
        return
    from motet.stores.sqlite import SqliteStore, open_database

    _make_folder(url)
    async with open_database(url, clock=clock) as database:
        yield SqliteStore(database, shared=False)


@asynccontextmanager
async def _memory(url: str, clock: Clock) -> AsyncIterator[tuple[Transport, Store]]:
    from motet.stores.memory import MemoryLog, MemoryStore
    from motet.transports.memory import MemoryTransport

    log = MemoryLog(clock)
    yield MemoryTransport(log), MemoryStore(log)


@asynccontextmanager
async def _sqlite(url: str, clock: Clock) -> AsyncIterator[tuple[Transport, Store]]:
    from motet.stores.sqlite import SqliteStore, open_database
    from motet.transports.sqlite import SqliteTransport

    _make_folder(url)
    async with open_database(url, clock=clock) as database:
        yield SqliteTransport(database), SqliteStore(database)


def _make_folder(url: str) -> None:
    from motet.stores.sqlite import parse_url

    folder = Path(parse_url(url).path).parent
    with suppress(OSError):  # what is wrong with the place is said by those who open it
        folder.mkdir(exist_ok=True)


_BOTH: dict[str, Opener] = {"memory": _memory, "sqlite": _sqlite}
