import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis import Redis

from motet.core.clock import SystemClock
from motet.core.ports import Transport
from motet.testing.contracts import TransportContract
from motet.transports.redis import RedisTransport, open_transport
from tests.services import real, valkey


class RedisContract(TransportContract):
    guarantees = RedisTransport.guarantees

    def url(self) -> str:
        """A server that may be shared: each transport has a prefix of its own."""
        raise NotImplementedError

    @asynccontextmanager
    async def make(self) -> AsyncIterator[Transport]:
        url, prefix = self.url(), f"t{secrets.token_hex(6)}:"
        async with open_transport(f"{url}?prefix={prefix}", SystemClock()) as transport:
            yield transport
        with Redis.from_url(url) as redis:
            for key in redis.scan_iter(f"{prefix}*", count=10_000):
                redis.unlink(key)

    async def forget(self, transport: Transport) -> None:
        assert isinstance(transport, RedisTransport)
        await transport.trim()


class TestRedisTransport(RedisContract):
    def url(self) -> str:
        return real("redis")


class TestValkeyTransport(RedisContract):
    def url(self) -> str:
        return valkey()
