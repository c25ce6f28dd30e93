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
    """What needs no more than `make setup`; it leaves out what Tansu 0.6 has not.

    It takes nothing away after its time, and says of a topic that it ends after the first event
    of its last batch. It keeps no metadata with a committed offset either, so the contract of
    `ProgressKeeper` runs on Kafka alone.
    """

    guarantees = KafkaTransport.guarantees

    def make(self) -> AbstractAsyncContextManager[Transport]:
        return fresh(tansu(), session_timeout="2")  # a join takes half of it

    test_a_reader_behind_what_retention_took_moves_on_and_waits = None
    test_a_reader_behind_the_oldest_kept_goes_on_with_it = None
    test_topics_are_listed_by_name_with_their_ends = None
    test_the_log_can_be_read_again_from_any_offset = None
