import asyncio
from collections.abc import Iterator

import pytest
from redis import Redis

from motet.core.clock import SystemClock
from motet.core.errors import ConfigError, Unavailable
from motet.core.event import Message
from motet.core.ports import Taken
from motet.testing import FaultProxy
from motet.testing.simulation import until
from motet.transports.redis import PubSubSource, open_pubsub
from tests.services import Valkey, own

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with own(Valkey) as valkey:
        yield valkey


@pytest.fixture
def direct(server: Valkey) -> Iterator[Redis]:
    with Redis.from_url(server.url) as redis:
        yield redis


async def take(source: PubSubSource, count: int) -> list[Taken]:
    taken: list[Taken] = []
    async with asyncio.timeout(10.0):
        while len(taken) < count:
            taken += await source.take(max_messages=count - len(taken), max_wait_s=5.0)
    return taken


async def test_messages_of_matching_channels_come_in_order(server: Valkey, direct: Redis) -> None:
    async with open_pubsub(server.url, CLOCK, patterns=["orders.*", "alerts"]) as source:
        for channel, value in [
            ("orders.a", "1"),
            ("other", "2"),
            ("alerts", "3"),
            ("orders.b", "4"),
        ]:
            direct.publish(channel, value)
        taken = await take(source, 3)
        await source.done(taken)
    assert taken == [
        Taken("orders.a", Message(key=b"orders.a", value=b"1"), None),
        Taken("alerts", Message(key=b"alerts", value=b"3"), None),
        Taken("orders.b", Message(key=b"orders.b", value=b"4"), None),
    ]
    assert source.lossy


async def test_nothing_comes_where_nothing_is_published(server: Valkey) -> None:
    async with open_pubsub(server.url, CLOCK, patterns=["quiet"]) as source:
        assert list(await source.take(max_messages=10, max_wait_s=0.01)) == []


async def test_what_is_published_while_nobody_listens_is_gone(
    server: Valkey, direct: Redis
) -> None:
    direct.publish("c", "before")
    async with open_pubsub(server.url, CLOCK, patterns=["c"]) as source:
        direct.publish("c", "now")
        (taken,) = await take(source, 1)
    assert taken.message.value == b"now"


async def test_what_comes_faster_than_it_is_taken_is_dropped_and_counted(
    server: Valkey, direct: Redis
) -> None:
    async with open_pubsub(server.url, CLOCK, patterns=["c"]) as source:
        with direct.pipeline() as pipeline:
            for _ in range(10_500):
                pipeline.publish("c", "x")
            await asyncio.to_thread(pipeline.execute)
        await until(lambda: source.dropped == 500, CLOCK)
        assert len(await take(source, 10_000)) == 10_000
        direct.publish("c", "later")
        assert (await take(source, 1))[0].message.value == b"later"


async def test_a_cancelled_take_loses_nothing(server: Valkey, direct: Redis) -> None:
    async with open_pubsub(server.url, CLOCK, patterns=["c"]) as source:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await source.take(max_messages=1, max_wait_s=30.0)
        direct.publish("c", "x")
        assert len(await take(source, 1)) == 1


async def test_a_source_listens_again_after_its_connection_was_cut(
    server: Valkey, direct: Redis
) -> None:
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        host, port = proxy.address
        url = f"redis://{host}:{port}?timeout=0.5"
        async with open_pubsub(url, CLOCK, patterns=["c"]) as source:
            proxy.refuse()
            proxy.cut()
            with pytest.raises(Unavailable, match=f"{host}:{port}"):
                await source.take(max_messages=1, max_wait_s=5.0)
            proxy.heal()
            assert await _recovered(source, direct)


async def test_a_source_whose_connection_is_stalled_connects_anew(
    server: Valkey, direct: Redis
) -> None:
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        host, port = proxy.address
        url = f"redis://{host}:{port}?timeout=0.3"
        async with open_pubsub(url, CLOCK, patterns=["c"]) as source:
            proxy.stall()
            with pytest.raises(Unavailable):
                await source.take(max_messages=1, max_wait_s=5.0)
            proxy.heal()
            assert await _recovered(source, direct)


async def _recovered(source: PubSubSource, direct: Redis) -> bool:
    """Publish until something comes through."""
    for _ in range(200):
        direct.publish("c", "again")
        try:
            if await source.take(max_messages=1, max_wait_s=0.05):
                return True
        except Unavailable:
            await CLOCK.sleep(0.01)
    return False


async def test_a_source_needs_a_channel(server: Valkey) -> None:
    with pytest.raises(ConfigError, match="channel"):
        async with open_pubsub(server.url, CLOCK, patterns=[]):
            pass
