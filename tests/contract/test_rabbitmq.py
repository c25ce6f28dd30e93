from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from motet.core.clock import SystemClock
from motet.core.ports import Transport
from motet.testing.contracts import KeepingTransport, ProgressKeeperContract, TransportContract
from motet.transports.rabbitmq import RabbitTransport, open_transport
from tests.rabbitmq import vhost


@asynccontextmanager
async def fresh() -> AsyncIterator[RabbitTransport]:
    """A transport on a vhost of its own."""
    async with (
        vhost() as url,
        open_transport(f"{url}?partitions=3&segment_bytes=10000", SystemClock()) as opened,
    ):
        yield opened


class TestRabbitmqTransport(TransportContract):
    guarantees = RabbitTransport.guarantees
    empties = False  # the segment that a stream is writing stays

    def make(self) -> AbstractAsyncContextManager[Transport]:
        return fresh()


class TestRabbitmqProgress(ProgressKeeperContract):
    def make(self) -> AbstractAsyncContextManager[KeepingTransport]:
        return fresh()
