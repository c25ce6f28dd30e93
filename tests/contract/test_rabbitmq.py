from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from motet.core.clock import SystemClock
from motet.core.ports import Transport
from motet.testing.contracts import TransportContract
from motet.transports.rabbitmq import RabbitTransport, open_transport
from tests.rabbitmq import vhost


class TestRabbitTransport(TransportContract):
    guarantees = RabbitTransport.guarantees
    empties = False  # the segment that a stream is writing stays

    @asynccontextmanager
    async def make(self) -> AsyncIterator[Transport]:
        async with (
            vhost() as url,
            open_transport(f"{url}?partitions=3&segment_bytes=10000", SystemClock()) as opened,
        ):
            yield opened
