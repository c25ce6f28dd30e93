import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec
import pytest

from motet.core.clock import SystemClock
from motet.core.errors import ConfigError, Unavailable
from motet.core.event import Message, Partition
from motet.drivers.amqp import Link, parse_address
from motet.testing.contracts.consuming import Group, read_topic
from motet.testing.events import make_event, make_events
from motet.testing.simulation import until
from motet.transports.rabbitmq import (
    Binding,
    ExchangeSink,
    Queue,
    QueueSource,
    RabbitTransport,
    Topology,
    open_transport,
)
from tests.rabbitmq import managed, management, vhost
from tests.services import free_ports

CLOCK = SystemClock()


@asynccontextmanager
async def opened(url: str, query: str = "") -> AsyncIterator[RabbitTransport]:
    async with open_transport(f"{url}?partitions=2&{query}", CLOCK) as transport:
        assert isinstance(transport, RabbitTransport)
        yield transport


@asynccontextmanager
async def linked(url: str) -> AsyncIterator[Link]:
    link = Link(parse_address(url), CLOCK, name="test")
    try:
        yield link
    finally:
        await link.close()


@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_events_are_written_as_cloudevents_where_the_url_says_so(mode: str) -> None:
    event = msgspec.structs.replace(make_event(1, key="k"), data=msgspec.Raw(b'{"a":1}'))
    async with vhost() as url, opened(url, f"cloudevents={mode}") as transport:
        await transport.publish("t", [event])
        (back,) = await read_topic(transport, "t")
        batches = [await transport.read(Partition("t", n), offset=0, limit=1) for n in range(2)]
        (record,) = [record for batch in batches for record in batch.records]
    assert back == event
    headers = dict(record.headers)
    if mode == "binary":
        assert headers["cloudEvents_id"] == event.id.encode()
        assert record.value == b'{"a":1}'
    else:
        assert headers["content-type"].startswith(b"application/cloudevents+json")
        assert json.loads(record.value)["specversion"] == "1.0"


async def test_another_programs_queue_gets_the_events_of_a_type() -> None:
    async with vhost() as url, opened(url, "exchange=topic") as transport, linked(url) as link:
        await transport.create_topic("shop", partitions=2)
        topology = Topology(
            queues=[Queue(name="mine")], bindings=[Binding("mine", "shop", "*.order.created")]
        )
        await topology.declare(await link.channel())
        events = [
            msgspec.structs.replace(event, type=("order.created", "order.paid")[n % 2])
            for n, event in enumerate(make_events(6, keys=3))
        ]
        await transport.publish("shop", events)
        taken = await QueueSource(link, ["mine"]).take(max_messages=1, max_wait_s=10)
        assert await read_topic(transport, "shop") != []
        assert b"order.created" in (taken[0].message.value or b"")


async def test_another_programs_queue_gets_every_event_of_a_partition() -> None:
    async with vhost() as url, opened(url) as transport, linked(url) as link:
        await transport.create_topic("shop", partitions=1)
        topology = Topology(queues=[Queue(name="mine")], bindings=[Binding("mine", "shop", "0")])
        await topology.declare(await link.channel())
        await transport.publish("shop", [make_event(1)])
        taken = await QueueSource(link, ["mine"]).take(max_messages=1, max_wait_s=10)
        assert make_event(1).id.encode() in (taken[0].message.value or b"")


async def test_what_another_program_publishes_to_a_topic_is_read() -> None:
    async with vhost() as url, opened(url) as transport, linked(url) as link:
        await transport.create_topic("shop", partitions=1)
        sink = ExchangeSink(link, "shop", routing_key="0")
        theirs = b'{"eventType":"order.created","payload":{"total":3}}'
        await sink.put([Message(b"k", theirs), Message(b"", b"<html>"), Message(b"k", None)])
        batch = await transport.read(Partition("shop", 0), offset=0, limit=10)
    assert [record.event.type for record in batch.records] == ["order.created", "tombstone"]
    assert {record.event.key for record in batch.records} == {"k"}
    assert [each.offset for each in batch.broken] == [1]


async def test_messages_are_sent_as_they_are() -> None:
    messages = [
        Message(b"\xff", b"<html>", (("h", b"1"), ("content-type", b"text/html"))),
        Message(b"k", None, partition=1),
    ]
    async with vhost() as url, opened(url) as transport:
        await transport.send("t", messages)
        batches = [await transport.read(Partition("t", n), offset=0, limit=9) for n in range(2)]
    broken = [each for batch in batches for each in batch.broken]
    assert [(each.key, each.value) for each in broken] == [(b"\xff", b"<html>")]
    assert sorted(broken[0].headers) == [("content-type", b"text/html"), ("h", b"1")]
    assert [record.event.type for record in batches[1].records] == ["tombstone"]


async def test_retention_is_changed_by_a_policy() -> None:
    async with vhost() as url, opened(url, f"management={management()}") as transport:
        await transport.create_topic("t", partitions=1)
        await transport.create_topic("t", partitions=1, retention_s=90.5)
        policies = f"/api/policies{urlsplit(url).path}"
        (policy,) = await managed("GET", policies)  # type: ignore[misc]
        assert policy["definition"] == {"max-age": "91s"}
        assert policy["pattern"] == r"^t\.[0-9]+$"
        await transport.create_topic("t", partitions=1)
        assert await managed("GET", policies) == []
        ((info,),) = [await transport.topics()]
    assert info.retention_s is None


async def test_a_retention_that_is_not_in_force_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async with vhost() as url, opened(url) as transport:
        await transport.create_topic("t", partitions=1)
        await transport.create_topic("t", partitions=1, retention_s=90.0)
    assert [record.message for record in caplog.records] == ["rabbitmq.retention"]


async def test_a_deleted_lease_queue_is_made_again() -> None:
    async with vhost() as url, opened(url) as transport:
        await transport.create_topic("t", partitions=1)
        group = Group(transport, ["t"])
        async with group.consumer():
            await transport.publish("t", [make_event(1)])
            await group.until(1)
            await managed("DELETE", f"/api/queues{urlsplit(url).path}/motet.lease.g.t.0")
            await until(lambda: not group.held["consumer"], CLOCK, every_s=0.0001)
            await transport.publish("t", [make_event(2)])
            await group.until(2)


async def test_installations_with_prefixes_do_not_see_one_another() -> None:
    async with vhost() as url, opened(url, "prefix=a.") as one, opened(url, "prefix=b.") as two:
        await one.publish("t", [make_event(1)])
        assert await two.topics() == []
        await two.create_topic("t", partitions=5)
        assert await read_topic(two, "t") == []


async def test_topics_made_at_once_by_two_processes_agree() -> None:
    async with vhost() as url, opened(url) as one, opened(url) as two:
        await one.create_topic("t", partitions=3)
        with pytest.raises(ConfigError, match="3 partitions, not 4"):
            await two.create_topic("t", partitions=4)
        await two.publish("t", [make_event(1)])
        assert await read_topic(one, "t") == [make_event(1)]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("motet:motet@", "motet:secret@", "check user 'motet'"),
        ("/motet-test", "/nowhere", "check the vhost"),
    ],
)
async def test_who_is_not_let_in_is_told_what_to_check(old: str, new: str, match: str) -> None:
    async with vhost() as url:
        with pytest.raises(ConfigError, match=match) as refusal:
            async with opened(url.replace(old, new)):
                pass
    assert "secret" not in str(refusal.value)


async def test_a_broker_that_is_not_there_is_named() -> None:
    with free_ports() as port, pytest.raises(Unavailable, match=f"no RabbitMQ .* at .*:{port}"):
        async with opened(f"amqp://127.0.0.1:{port}"):
            pass
