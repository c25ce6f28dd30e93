import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from redis import Redis

from motet.core.clock import SystemClock
from motet.core.ports import Transport
from motet.testing.contracts import KeepingTransport, ProgressKeeperContract, TransportContract
from motet.transports.redis import RedisTransport, open_transport
from tests.services import real, valkey


@asynccontextmanager
async def fresh(url: str) -> AsyncIterator[RedisTransport]:
    """A transport with a prefix of its own; its keys go with it."""
    prefix = f"t{secrets.token_hex(6)}:"
    async with open_transport(f"{url}?prefix={prefix}", SystemClock()) as transport:
        yield transport
    with Redis.from_url(url) as redis:
        for key in redis.scan_iter(f"{prefix}*", count=10_000):
            redis.unlink(key)


class RedisContract(TransportContract):
    guarantees = RedisTransport.guarantees

    async def forget(self, transport: Transport) -> None:
        assert isinstance(transport, RedisTransport)
        await transport.trim()


class TestRedisTransport(RedisContract):
    def make(self) -> AbstractAsyncContextManager[Transport]:
        return fresh(real("redis"))


class TestRedisProgress(ProgressKeeperContract):
    def make(self) -> AbstractAsyncContextManager[KeepingTransport]:
        return fresh(real("redis"))


class TestValkeyTransport(RedisContract):
    def make(self) -> AbstractAsyncContextManager[Transport]:
        return fresh(valkey())


class TestValkeyProgress(ProgressKeeperContract):
    def make(self) -> AbstractAsyncContextManager[KeepingTransport]:
        return fresh(valkey())
