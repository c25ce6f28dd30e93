"""The three brokers under faults: servers of one's own, that have on disk what they say they have.

Sessions and timeouts are the shortest that each allows, so that a test takes seconds.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec

from motet.core.clock import SystemClock
from motet.transports.kafka import open_transport
from scripts.services import Kafka, RabbitMQ, Redis, Service
from tests.rabbitmq import vhost
from tests.services import real, valkey


class DurableRedis(Redis):
    """A Redis that acknowledges what is on disk."""

    name: ClassVar[str] = "redis"

    def prepare(self) -> None:
        super().prepare()
        config = self.folder / "redis.conf"
        config.write_text(config.read_text().replace("everysec", "always"))


class Broker(msgspec.Struct, frozen=True):
    """A kind of broker, and how the application is told to use it."""

    kind: type[Service]
    options: str
    session_s: float  # a member that is silent for so long loses its leases

    def url(self, server: Service) -> str:
        """The URL of a server."""
        return f"{server.url}?{self.options}"


BROKERS = {
    "redis": Broker(DurableRedis, "partitions=3&timeout=1&session_timeout=1.5", 1.5),
    "kafka": Broker(Kafka, "partitions=3&timeout=3&session_timeout=3", 3.0),
    "rabbitmq": Broker(RabbitMQ, "partitions=3&timeout=2&session_timeout=2", 2.0),
}


@asynccontextmanager
async def shared(name: str) -> AsyncIterator[str]:
    """The URL of a broker that is shared with other tests, under names that nobody else has."""
    options = BROKERS[name].options
    prefix = f"t{secrets.token_hex(4)}."
    if name == "redis":
        yield f"{valkey()}?{options}&prefix={prefix}"
    elif name == "rabbitmq":
        async with vhost() as url:
            yield f"{url}?{options}"
    else:
        url = f"{real('kafka')}?{options}&prefix={prefix}"
        yield url
        async with open_transport(url, SystemClock()) as transport:
            await transport.delete_topics()


NAMES: Sequence[str] = tuple(BROKERS)
