"""Bridges between brokers: the article's way from Kafka over RabbitMQ to Redis, and sources."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from motet.backends import open_transport
from motet.core.clock import SystemClock
from motet.core.event import Event, Partition
from motet.core.ids import IdSource
from motet.testing import make_event, until
from scripts.services import known
from tests.integration import clients
from tests.services import real

CLOCK = SystemClock()
EVENTS = 3000
KEYS = 7


@pytest.fixture
def name() -> str:
    return f"b{IdSource(CLOCK).next()}"


def rabbitmq() -> str:
    real("rabbitmq")
    return real("rabbitmq").replace("amqp://", "rabbitmq://")


def redis(name: str) -> str:
    return f"{real('redis')}?prefix={name}:"


@asynccontextmanager
async def bridge(folder: Path, *tokens: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "motet",
        "bridge",
        *tokens,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def copied(url: str, topic: str) -> list[Event]:
    async with open_transport(url, clock=CLOCK) as transport:
        found: list[Event] = []
        for info in await transport.topics():
            for index in range(info.partitions if info.name == topic else 0):
                offset = 0
                while True:
                    place = Partition(topic, index)
                    batch = await transport.read(place, offset=offset, limit=1000)
                    if batch.end <= offset:
                        break
                    found += [record.event for record in batch.records]
                    offset = batch.end
    return found


async def end_of(url: str, topic: str) -> int:
    async with open_transport(url, clock=CLOCK) as transport:
        return sum(sum(info.ends) for info in await transport.topics() if info.name == topic)


def events(name: str) -> list[Event]:
    return [
        make_event(n, id=f"{name}-{n}", key=f"k{n % KEYS}", data={"n": n}) for n in range(EVENTS)
    ]


def check(found: Sequence[Event], given: Sequence[Event]) -> None:
    """All are there, and of each key the first copies are in order."""
    first = dict.fromkeys(event.id for event in found)
    assert len(first) == len(given)
    for key in {event.key for event in given}:
        wanted = [event.id for event in given if event.key == key]
        assert [id for id in first if id in set(wanted)] == wanted


@pytest.mark.kill
@pytest.mark.timeout(120)
async def test_kafka_to_rabbitmq_to_redis_with_bridges_killed_on_the_way(
    name: str, tmp_path: Path
) -> None:
    kafka, middle, last = real("kafka"), rabbitmq(), redis(name)
    given = events(name)
    first = (kafka, middle, "--topic", name, "--group", f"{name}-first")
    second = (middle, last, "--topic", name, "--group", f"{name}-second")
    async with open_transport(kafka, clock=CLOCK) as transport:
        await transport.create_topic(name, partitions=4)
        for part in range(3):
            await transport.publish(name, given[part * 1000 : (part + 1) * 1000])
            for here, there in ((first, middle), (second, last)):
                before = await end_of(there, name)
                async with bridge(tmp_path, *here) as process:
                    await until(lambda u=there, n=before: _past(u, name, n), CLOCK)
                    process.send_signal(signal.SIGKILL)
                    await process.wait()
    for here in (first, second):
        async with bridge(tmp_path, *here, "--until-idle") as process:
            assert await process.wait() == 0

    check(await copied(middle, name), given)
    check(await copied(last, name), given)


async def _past(url: str, topic: str, before: int) -> bool:
    return await end_of(url, topic) > before


@pytest.mark.timeout(120)
async def test_two_brokers_with_bridges_both_ways_come_to_rest(name: str, tmp_path: Path) -> None:
    one, other = rabbitmq(), redis(name)
    for url, first in ((one, 0), (other, 1)):
        async with open_transport(url, clock=CLOCK) as transport:
            await transport.publish(name, events(name)[first:200:2])
    ways = [(one, other, "--topic", name), (other, one, "--topic", name)]
    async with bridge(tmp_path, *ways[0]), bridge(tmp_path, *ways[1]):
        await until(lambda: _past(one, name, 199), CLOCK)
        await until(lambda: _past(other, name, 199), CLOCK)
    for way in ways:
        async with bridge(tmp_path, *way, "--until-idle") as process:
            assert await process.wait() == 0

    for url in (one, other):
        ids = [event.id for event in await copied(url, name)]
        assert sorted(ids) == sorted(event.id for event in events(name)[:200])


async def test_redis_pub_sub_is_copied_while_the_bridge_listens(name: str, tmp_path: Path) -> None:
    source = f"redis+pubsub://{real('redis').partition('://')[2]}?channel={name}"
    target = f"sqlite:///{tmp_path}/to.db"
    async with Redis.from_url(real("redis")) as client, bridge(tmp_path, source, target) as process:
        await until(lambda: _heard(client, name), CLOCK)
        await client.publish(name, b'{"eventId": "e1", "eventType": "t"}')
        await client.publish(name, b"\xff")
        await until(lambda: _past(target, name, 0), CLOCK)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    [event] = await copied(target, name)
    assert (event.id, event.key) == ("e1", name)


async def _heard(client: Redis, channel: str) -> bool:
    heard: int = await client.publish(channel, b'{"eventId": "e1", "eventType": "t"}')
    return heard > 0


async def test_a_rabbitmq_queue_is_emptied(name: str, tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path}/to.db"
    management = known("rabbitmq").urls["rabbitmq management"]
    source = f"{rabbitmq()}?queue={name}"
    await asyncio.to_thread(clients.rabbitmq_keeps, management, name)
    async with bridge(tmp_path, source, target, "--until-idle") as process:
        assert await process.wait() == 0

    [event] = await copied(target, name)
    assert (event.type, event.key, bytes(event.data)) == ("rabbitmq.message", name, b'"hello"')
    async with bridge(tmp_path, source, target, "--until-idle") as process:
        assert await process.wait() == 0
    assert len(await copied(target, name)) == 1
    clients.rabbitmq(management, "DELETE", f"queues/%2F/{name}", None)


async def test_a_cache_holds_the_latest_payload_of_each_key(name: str, tmp_path: Path) -> None:
    source, cache = f"sqlite:///{tmp_path}/from.db", redis(name)
    values = [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", None), ("a", 3)]
    async with open_transport(source, clock=CLOCK) as transport:
        await transport.publish(
            "t", [make_event(n, key=key, data=value) for n, (key, value) in enumerate(values)]
        )
    as_cache = ("--topic", "t", "--as", "cache", "--ttl", "1h", "--until-idle")
    async with bridge(tmp_path, source, cache, *as_cache) as process:
        assert await process.wait() == 0

    async with Redis.from_url(real("redis")) as client:
        held = await client.mget([f"{name}:t:{key}" for key in "abc"])
        left_ms = await client.pttl(f"{name}:t:a")
    assert held == [b"3", None, b"1"]
    assert 3_500_000 < left_ms <= 3_600_000
