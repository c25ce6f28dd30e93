import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from motet.core.clock import SystemClock
from motet.core.ports import Transport
from motet.testing.contracts import TransportContract
from motet.transports.kafka import KafkaTransport, open_transport

URL = os.environ.get("MOTET_TEST_KAFKA_URL", "")


@asynccontextmanager
async def fresh(url: str, **options: str) -> AsyncIterator[KafkaTransport]:
    """A transport of its own prefix, whose topics are deleted at the end."""
    given = {"prefix": f"test-{secrets.token_hex(4)}.", "session_timeout": "6", **options}
    query = "&".join(f"{name}={value}" for name, value in given.items())
    async with open_transport(f"{url}?{query}", SystemClock()) as transport:
        try:
            yield transport
        finally:
            await transport.delete_topics()


@pytest.mark.skipif(not URL, reason="no Kafka: MOTET_TEST_KAFKA_URL is not set")
class TestKafkaTransport(TransportContract):
    guarantees = KafkaTransport.guarantees

    @asynccontextmanager
    async def make(self) -> AsyncIterator[Transport]:
        async with fresh(URL) as transport:
            yield transport
