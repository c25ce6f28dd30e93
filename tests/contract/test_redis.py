import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis import Redis

from motet.core.clock import SystemClock
from motet.core.ports import Transport
from motet.testing.contracts import TransportContract
from motet.transports.redis import RedisTransport, open_transport


def server(name: str) -> str:
    """The URL of a real server; skipped on a laptop without one, a failure in CI."""
    url = os.environ.get(name, "")
    if not url and os.environ.get("CI") == "true":
        pytest.fail(f"{name} names no server")
    if not url:
        pytest.skip(f"{name} names no server")
    return url


class RedisContract(TransportContract):
    guarantees = RedisTransport.guarantees
    url = ""

    @asynccontextmanager
    async def make(self) -> AsyncIterator[Transport]:
        url, prefix = server(self.url), f"t{secrets.token_hex(6)}:"
        async with open_transport(f"{url}?prefix={prefix}", SystemClock()) as transport:
            yield transport
        with Redis.from_url(url) as redis:
            for key in redis.scan_iter(f"{prefix}*", count=10_000):
                redis.unlink(key)

    async def forget(self, transport: Transport) -> None:
        assert isinstance(transport, RedisTransport)
        await transport.trim()


class TestRedisTransport(RedisContract):
    url = "MOTET_TEST_REDIS_URL"


class TestValkeyTransport(RedisContract):
    url = "MOTET_TEST_VALKEY_URL"
