"""URLs become sources, which are no log, and caches, which are no transport."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from motet.backends.schemes import BROKERS, SAME, SOURCES, known_scheme, module
from motet.core.errors import ConfigError
from motet.core.event import Event
from motet.core.ports import Clock, Source
from motet.telemetry import masked

_OPTIONS = {"mqtt": set[str](), "redis": {"channel", "pattern"}, "rabbitmq": {"queue"}}


def source_of(url: str) -> str | None:
    """Return the kind of source that a URL means, a name of `SOURCES`; None: it means a transport.

    `?channel=` and `?queue=` make a source of what else is a transport.
    """
    parts = urlsplit(url.replace("#", "%23"))
    bare = parts.scheme.removesuffix("+pubsub")
    scheme = SAME.get(bare, bare)
    if scheme not in SOURCES:
        return None
    named = _OPTIONS[scheme] & parse_qs(parts.query).keys()
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
        raise ConfigError(f"{masked(url)!r} names no source; there are {forms}")
    there = module(kind, SOURCES[kind])
    opened: AbstractAsyncContextManager[Source]
    if kind == "redis":
        bare, patterns = _pubsub(url)
        opened = there.open_pubsub(bare, clock, patterns=patterns)
    else:
        opened = there.open_source(url, clock)
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
    if known_scheme(url) != "redis":
        raise ConfigError(f"{masked(url)!r} is no cache: name a Redis, {BROKERS['redis'].form}")
    opened: AbstractAsyncContextManager[Cache] = module("redis", BROKERS["redis"]).open_cache(
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
        if name in _OPTIONS["redis"]
    ]
    rest = [option for option in options if option[0] not in _OPTIONS["redis"]]
    scheme = parts.scheme.removesuffix("+pubsub")
    return parts._replace(scheme=scheme, query=urlencode(rest)).geturl(), patterns
