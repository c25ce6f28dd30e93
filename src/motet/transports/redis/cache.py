"""Redis as a cache: the latest payload of each key, for programs that only look it up."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from motet.core.event import NULL, Event
from motet.core.ports import Clock
from motet.core.refusals import check
from motet.transports.redis.connection import Connection, pack
from motet.transports.redis.options import parse

PREFIX = "cache:"
"""Before every key, unless the URL has `prefix`: not that of the transport, whose keys are its."""


class RedisCache:
    """Sets `{prefix}{topic}:{key}` to the payload of each event, in order; null removes the key.

    What is published again ends at the same value, for later events of a key come again too.
    """

    def __init__(self, connection: Connection, *, prefix: str, ttl_s: float | None) -> None:
        self._connection = connection
        self._prefix = prefix
        self._ttl = () if ttl_s is None else ("PX", max(1, round(ttl_s * 1000)))

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Write the values in order and return how many there were.

        Raises:
            CodecError: an event could not be read back, or is out of bounds; nothing was written.
            Unavailable: the server does not answer; some may be written.
            ConfigError: the server will never do this.
        """
        check(events)
        await self._connection.call_all([self._request(topic, event) for event in events])
        return len(events)

    def _request(self, topic: str, event: Event) -> bytes:
        name = f"{self._prefix}{topic}:{event.key}"
        value = bytes(event.data)
        if value == bytes(NULL):
            return pack(("DEL", name))
        return pack(("SET", name, value, *self._ttl))


@asynccontextmanager
async def open_cache(url: str, clock: Clock, *, ttl_s: float | None) -> AsyncIterator[RedisCache]:
    """Open the cache on the server that `url` names; values last `ttl_s` seconds, or for ever.

    Raises:
        ConfigError: the URL or the server is of no use.
        Unavailable: the server does not answer.
    """
    options = parse(url)
    prefix = options.prefix if "prefix" in parse_qs(urlsplit(url).query) else PREFIX
    connection = Connection(options, clock, name="motet-cache")
    try:
        await connection.ping()
        yield RedisCache(connection, prefix=prefix, ttl_s=ttl_s)
    finally:
        connection.close()
