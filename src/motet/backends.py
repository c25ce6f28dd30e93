"""URLs become transports and stores here, and nowhere else."""

import importlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import NoReturn, Protocol
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import msgspec

from motet.core.checks import Check, Diagnosis, fail
from motet.core.clock import SystemClock
from motet.core.errors import ConfigError
from motet.core.event import Event
from motet.core.ports import Clock, Source, Store, Transport

DEFAULT_URL = "sqlite:///.motet/motet.db"
"""One file in the current folder: log, progress, state, streams, outbox and dead letters."""

TransportOpener = Callable[[str, Clock], AbstractAsyncContextManager[Transport]]


class Backends(msgspec.Struct, frozen=True):
    """A transport and a store, opened."""

    url: str
    transport: Transport
    store: Store
    store_url: str = ""  # the same as `url` where one file is both


class Broker(msgspec.Struct, frozen=True):
    """Where a scheme's transport is, and the extra that it needs."""

    module: str  # it has `open_transport(url, clock)`
    extra: str
    form: str


BROKERS = {
    "kafka": Broker("motet.transports.kafka", "kafka", "kafka://HOST:PORT"),
    "rabbitmq": Broker("motet.transports.rabbitmq", "rabbitmq", "rabbitmq://USER:PASSWORD@HOST"),
    "redis": Broker("motet.transports.redis", "redis", "redis://HOST:PORT/DB"),
}
"""Transports that are another system; the store is a file or a database beside them."""

SOURCES = {
    "mqtt": Broker("motet.transports.mqtt", "mqtt", "mqtt://HOST:PORT/TOPIC/FILTER"),
    "redis": Broker("motet.transports.redis", "redis", "redis+pubsub://HOST:PORT?channel=NAME"),
    "rabbitmq": Broker(
        "motet.transports.rabbitmq", "rabbitmq", "rabbitmq://USER:PASSWORD@HOST?queue=NAME"
    ),
}
"""Sources that are no log: each module has `open_source(url, clock)`, or `open_pubsub`."""

_SAME = {
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
    "kafkas": "kafka",
    "rabbitmqs": "rabbitmq",
    "rediss": "redis",
    "mqtts": "mqtt",
}

_SOURCE_OPTIONS = {"mqtt": set[str](), "redis": {"channel", "pattern"}, "rabbitmq": {"queue"}}


@asynccontextmanager
async def connect(
    url: str = DEFAULT_URL, *, store: str | None = None, clock: Clock | None = None
) -> AsyncIterator[Backends]:
    """Open the transport that `url` names and the store that `store` names.

    Leaving the block closes them. `sqlite:///FILE` is relative to the current folder,
    `sqlite:////FILE` is not; the folder is made if it is missing. `memory://` keeps nothing. A
    broker (`kafka://`, `rabbitmq://`, `redis://`) has its store in `DEFAULT_URL` if none is named;
    the others are both in one, and then what is emitted joins the commit.

    Raises:
        ConfigError: a scheme is unknown, its extra is not installed, or the place cannot be used.
    """
    clock = clock or SystemClock()
    scheme = _known_scheme(url)
    store_url = store or (DEFAULT_URL if scheme in BROKERS else url)
    if _known_scheme(store_url) in BROKERS:
        raise ConfigError(
            f"{store_url!r} is no store: name a file with --store sqlite:///FILE; a broker keeps "
            "no state"
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


def diagnose(url: str, *, now_us: int) -> Diagnosis:
    """Look at the place that `url` names, without changing it and before it is opened.

    Raises:
        ConfigError: the scheme is unknown.
    """
    scheme = _known_scheme(url)
    if scheme == "memory":
        nobody = fail("store", "memory:// lives inside one process", "give --url sqlite:///FILE")
        return Diagnosis((nobody,), usable=False)
    if scheme in BROKERS:
        found: tuple[Check, ...] = ()  # it says itself what is wrong when it is opened
        return Diagnosis(found, usable=True)
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
    return _known_scheme(url) in BROKERS


def source_of(url: str) -> str | None:
    """Return the kind of source that a URL means, a name of `SOURCES`; None: it means a transport.

    `?channel=` and `?queue=` make a source of what else is a transport.
    """
    parts = urlsplit(url.replace("#", "%23"))
    bare = parts.scheme.removesuffix("+pubsub")
    scheme = _SAME.get(bare, bare)
    if scheme not in SOURCES:
        return None
    named = _SOURCE_OPTIONS[scheme] & parse_qs(parts.query).keys()
    return scheme if named or scheme == "mqtt" or bare != parts.scheme else None


@asynccontextmanager
async def open_source(url: str, *, clock: Clock) -> AsyncIterator[Source]:
    """Open the source that `url` names; leaving the block closes it.

    Raises:
        ConfigError: it names none, its extra is not installed, or the URL is of no use.
    """
    kind = source_of(url)
    if kind is None:
        forms = ", ".join(each.form for each in SOURCES.values())
        raise ConfigError(f"{url!r} names no source; there are {forms}")
    module = _module(kind, SOURCES[kind])
    opened: AbstractAsyncContextManager[Source]
    if kind == "redis":
        bare, patterns = _pubsub(url)
        opened = module.open_pubsub(bare, clock, patterns=patterns)
    else:
        opened = module.open_source(url, clock)
    async with opened as source:
        yield source


class Cache(Protocol):
    """Where the latest payload of each key is kept for others to look up."""

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Write the payloads in order; durable as far as the server is."""
        ...


@asynccontextmanager
async def open_cache(url: str, *, clock: Clock, ttl_s: float | None) -> AsyncIterator[Cache]:
    """Open the cache that `url` names, a Redis; values last `ttl_s` seconds, or for ever.

    Raises:
        ConfigError: it is no `redis://`, the extra is not installed, or the URL is of no use.
    """
    if _known_scheme(url) != "redis":
        raise ConfigError(f"{url!r} is no cache: name a Redis, {BROKERS['redis'].form}")
    opened: AbstractAsyncContextManager[Cache] = _module("redis", BROKERS["redis"]).open_cache(
        url, clock, ttl_s=ttl_s
    )
    async with opened as cache:
        yield cache


def _pubsub(url: str) -> tuple[str, list[str]]:
    """Return the server's URL, and the patterns of the channels that `url` names."""
    parts = urlsplit(url)
    options = parse_qsl(parts.query)
    patterns = [
        re.sub(r"[*?\[\]\\]", r"\\\g<0>", text) if name == "channel" else text
        for name, text in options
        if name in _SOURCE_OPTIONS["redis"]
    ]
    rest = [option for option in options if option[0] not in _SOURCE_OPTIONS["redis"]]
    scheme = parts.scheme.removesuffix("+pubsub")
    return parts._replace(scheme=scheme, query=urlencode(rest)).geturl(), patterns


@asynccontextmanager
async def open_transport(url: str, *, clock: Clock) -> AsyncIterator[Transport]:
    """Open the transport that `url` names, and no store; leaving the block closes it.

    Raises:
        ConfigError: the scheme is unknown, its extra is not installed, or the URL is of no use.
    """
    async with _transport(_known_scheme(url))(url, clock) as transport:
        yield transport


@asynccontextmanager
async def open_store(url: str, *, clock: Clock) -> AsyncIterator[Store]:
    """Open the store that `url` names, of things whose log is elsewhere.

    Raises:
        ConfigError: it names none, or the place cannot be used.
    """
    if _known_scheme(url) in BROKERS:
        raise ConfigError(f"{url!r} is no store: name a file, sqlite:///FILE")
    async with _store(url, clock) as store:
        yield store


def _known_scheme(url: str) -> str:
    given = urlsplit(url).scheme
    scheme = _SAME.get(given, given)
    if scheme not in _BOTH and scheme not in BROKERS:
        forms = ", ".join(each.form for each in BROKERS.values())
        raise ConfigError(
            f"{url!r}: unknown scheme {given!r}; use sqlite:///FILE (the default is "
            f"{DEFAULT_URL}), {forms} or memory://"
        )
    return scheme


def _transport(scheme: str) -> TransportOpener:
    if scheme not in BROKERS:
        return _alone(_BOTH[scheme])
    opener: TransportOpener = _module(scheme, BROKERS[scheme]).open_transport
    return opener


def _module(scheme: str, broker: Broker) -> ModuleType:
    try:
        return importlib.import_module(broker.module)
    except ModuleNotFoundError as err:
        _not_installed(scheme, broker, err)


def _not_installed(scheme: str, broker: Broker, err: ModuleNotFoundError) -> NoReturn:
    if err.name is None or err.name.startswith("motet"):
        raise err
    raise ConfigError(
        f"{scheme}:// needs {err.name!r}, which is not installed: pip install "
        f"'motet[{broker.extra}]'"
    ) from err


def _alone(opener: "Opener") -> TransportOpener:
    @asynccontextmanager
    async def open_one(url: str, clock: Clock) -> AsyncIterator[Transport]:
        async with opener(url, clock) as (transport, _):
            yield transport

    return open_one


@asynccontextmanager
async def _store(url: str, clock: Clock) -> AsyncIterator[Store]:
    """Open a store whose log is elsewhere: what it emits waits in its outbox."""
    if _known_scheme(url) == "memory":
        from motet.stores.memory import MemoryLog, MemoryStore

        yield MemoryStore(MemoryLog(clock), shared=False)
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


Opener = Callable[[str, Clock], AbstractAsyncContextManager[tuple[Transport, Store]]]


_BOTH: dict[str, Opener] = {"memory": _memory, "sqlite": _sqlite}
