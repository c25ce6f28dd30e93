"""MQTT as a source, on a Mosquitto: a killed bridge, or a broker that goes away, loses nothing."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from motet.backends import open_source, open_transport
from motet.bridges import Opener
from motet.core.clock import SystemClock
from motet.core.errors import ConfigError, Unavailable
from motet.core.event import Event, Partition
from motet.core.ids import IdSource
from motet.core.ports import Source, Taken
from motet.testing import until
from scripts.services import Mosquitto
from tests.services import own, real

CLOCK = SystemClock()
EACH = 300  # of three rounds: Mosquitto keeps at most 1000 for a session that is away


@pytest.fixture
def name() -> str:
    return f"t{IdSource(CLOCK).next()}"


def url_of(broker: str, name: str, **options: str) -> str:
    told = "&".join(f"{key}={value}" for key, value in {"client_id": name, **options}.items())
    return f"{broker}/{name}/#?{told}"


@asynccontextmanager
async def publisher(broker: str) -> AsyncIterator[aiomqtt.Client]:
    parts = urlsplit(broker)
    async with aiomqtt.Client(
        parts.hostname or "", parts.port or 0, protocol=aiomqtt.ProtocolVersion.V5
    ) as client:
        yield client


async def publish(broker: str, name: str, numbers: Sequence[int], *, qos: int = 1) -> None:
    async with publisher(broker) as client:
        for n in numbers:
            await client.publish(f"{name}/{n % 3}", b'{"n":%d}' % n, qos=qos)


async def take(source: Source, count: int) -> list[Taken]:
    found: list[Taken] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            try:
                found += await source.take(max_messages=100, max_wait_s=1.0)
            except Unavailable:
                await CLOCK.sleep(0.05)
    return found


def numbers(taken: Sequence[Taken]) -> list[int]:
    return [json.loads(each.message.value or b"{}")["n"] for each in taken]


async def subscribed(url: str) -> None:
    """Make the session, so that the broker keeps what comes from now on."""
    async with open_source(url, clock=CLOCK) as source:
        await until(lambda: _answers(source), CLOCK)


async def _answers(source: Source) -> bool:
    try:
        await source.take(max_messages=1, max_wait_s=0.2)
    except Unavailable:
        return False
    return True


async def _away(source: Source) -> bool:
    return not await _answers(source)


async def test_what_is_done_is_forgotten_and_what_is_not_comes_again(name: str) -> None:
    url = url_of(real("mosquitto"), name)
    await subscribed(url)
    await publish(real("mosquitto"), name, range(10))

    async with open_source(url, clock=CLOCK) as source:
        first = await take(source, 10)
        await source.done(first[:4])
    await publish(real("mosquitto"), name, range(10, 12))
    async with open_source(url, clock=CLOCK) as source:
        second = await take(source, 8)

    assert numbers(first) == list(range(10))
    assert numbers(second) == list(range(4, 12))
    assert {each.topic_or_channel for each in first} == {f"{name}/{n}" for n in range(3)}


async def test_a_message_published_at_level_2_is_taken_once_at_level_1(name: str) -> None:
    url = url_of(real("mosquitto"), name)
    await subscribed(url)
    await publish(real("mosquitto"), name, range(3), qos=2)

    async with open_source(url, clock=CLOCK) as source:
        assert numbers(await take(source, 3)) == [0, 1, 2]


async def test_a_retained_message_does_not_come_again_at_every_start(name: str) -> None:
    url = url_of(real("mosquitto"), name)
    async with publisher(real("mosquitto")) as client:
        await client.publish(f"{name}/0", b'{"n":0}', qos=1, retain=True)

    async with open_source(url, clock=CLOCK) as source:
        await source.done(await take(source, 1))
    await publish(real("mosquitto"), name, [1])
    async with open_source(url, clock=CLOCK) as source:
        assert numbers(await take(source, 1)) == [1]


async def test_a_cloud_event_in_binary_mode_is_one(name: str) -> None:
    url = url_of(real("mosquitto"), name)
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "application/json"
    properties.UserProperty = [
        ("specversion", "1.0"),
        ("id", "e1"),
        ("source", "/meter"),
        ("type", "meter.read"),
    ]
    await subscribed(url)
    async with publisher(real("mosquitto")) as client:
        await client.publish(f"{name}/0", b'{"kwh":3}', qos=1, properties=properties)

    async with open_source(url, clock=CLOCK) as source:
        [taken] = await take(source, 1)
    event = Opener("mqtt", CLOCK).event(taken)

    assert (event.id, event.type, bytes(event.data)) == ("e1", "meter.read", b'{"kwh":3}')


async def test_level_0_is_lossy_and_says_so(name: str) -> None:
    async with open_source(url_of(real("mosquitto"), name, qos="0"), clock=CLOCK) as source:
        assert source.lossy
        await until(lambda: _answers(source), CLOCK)
        await publish(real("mosquitto"), name, range(5), qos=0)
        taken = await take(source, 5)
        await source.done(taken)

    assert numbers(taken) == list(range(5))


async def test_who_loses_the_client_id_to_another_stops(name: str) -> None:
    async with open_source(url_of("mqtt://127.0.0.1:1", name), clock=CLOCK) as source:
        # As MQTT 5 has it; Mosquitto 2.0.11 closes the connection and does not say why.
        taken_over = ReasonCode(PacketTypes.DISCONNECT, identifier=142)
        source._client.on_disconnect(source._client, None, None, taken_over, None)
        with pytest.raises(ConfigError, match=f"connected with client id '{name}'"):
            await source.take(max_messages=1, max_wait_s=5.0)


async def test_a_broker_that_is_not_there_is_unavailable() -> None:
    async with open_source("mqtt://127.0.0.1:1/a", clock=CLOCK) as source:
        with pytest.raises(Unavailable, match="does not answer"):
            await source.take(max_messages=1, max_wait_s=5.0)


async def test_what_is_done_after_the_broker_was_away_comes_again_and_is_done_then(
    name: str,
) -> None:
    with own(Mosquitto) as broker:
        url = url_of(broker.url, name)
        async with open_source(url, clock=CLOCK) as source:
            await until(lambda: _answers(source), CLOCK)
            await publish(broker.url, name, range(5))
            held = await take(source, 5)
            await asyncio.to_thread(broker.stop)
            await until(lambda: _away(source), CLOCK)
            await source.done(held)  # their numbers are of a connection that is gone
            await asyncio.to_thread(broker.start)
            again = await take(source, 5)
            await source.done(again)
        await publish(broker.url, name, [5])
        async with open_source(url, clock=CLOCK) as source:
            assert numbers(await take(source, 1)) == [5]

    assert numbers(again) == list(range(5))


@pytest.mark.kill
async def test_a_bridge_killed_on_the_way_loses_nothing(name: str, tmp_path: Path) -> None:
    broker = real("mosquitto")
    url, target = url_of(broker, name), f"sqlite:///{tmp_path}/to.db"
    await subscribed(url)
    for first in range(0, 3 * EACH, EACH):
        await publish(broker, name, range(first, first + EACH))
        before = len(await copied(target, name))
        async with bridge(url, target, tmp_path) as process:
            await until(lambda before=before: _more(target, name, before), CLOCK)
            process.send_signal(signal.SIGKILL)
            await process.wait()
    async with bridge(url, target, tmp_path, "--until-idle") as process:
        assert await process.wait() == 0

    for part in range(3):
        came = [
            json.loads(bytes(event.data))["n"]
            for event in await copied(target, name)
            if event.key == f"{name}/{part}"
        ]
        assert list(dict.fromkeys(came)) == list(range(part, 3 * EACH, 3))


@asynccontextmanager
async def bridge(
    url: str, target: str, folder: Path, *options: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    command = ("-m", "motet", "bridge", url, target, *options)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=folder, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _more(target: str, topic: str, before: int) -> bool:
    return len(await copied(target, topic)) > before


async def copied(target: str, topic: str) -> list[Event]:
    async with open_transport(target, clock=CLOCK) as transport:
        found: list[Event] = []
        for info in await transport.topics():
            for index in range(info.partitions if info.name == topic else 0):
                batch = await transport.read(Partition(topic, index), offset=0, limit=100_000)
                found += [record.event for record in batch.records]
    return found
