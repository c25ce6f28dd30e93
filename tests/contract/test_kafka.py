import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from motet.core.clock import SystemClock
from motet.core.ports import Transport
from motet.testing.contracts import KeepingTransport, ProgressKeeperContract, TransportContract
from motet.transports.kafka import KafkaTransport, open_transport
from tests.services import real, tansu


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


class TestKafkaTransport(TransportContract):
    guarantees = KafkaTransport.guarantees

    def make(self) -> AbstractAsyncContextManager[Transport]:
        return fresh(real("kafka"))


class TestKafkaProgress(ProgressKeeperContract):
    def make(self) -> AbstractAsyncContextManager[KeepingTransport]:
        return fresh(real("kafka"))


class TestKafkaTransactions(ProgressKeeperContract):
    def make(self) -> AbstractAsyncContextManager[KeepingTransport]:
        return fresh(real("kafka"), transactions="on")


class TestTansuTransport(TransportContract):
    guarantees = KafkaTransport.guarantees

    def make(self) -> AbstractAsyncContextManager[Transport]:
        return fresh(tansu())


class TestTansuProgress(ProgressKeeperContract):
    def make(self) -> AbstractAsyncContextManager[KeepingTransport]:
        return fresh(tansu())
