from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from motet.core.clock import SystemClock
from motet.core.errors import ConfigError, Unavailable
from motet.core.event import Message
from motet.core.ports import Taken
from motet.drivers.amqp import Link, parse_address
from motet.transports.rabbitmq import (
    ATTEMPTS,
    Binding,
    Exchange,
    ExchangeSink,
    Kind,
    Queue,
    QueueSource,
    Topology,
    ordered,
)
from tests.rabbitmq import vhost

CLOCK = SystemClock()
PATIENCE_S = 20.0


@asynccontextmanager
async def link() -> AsyncIterator[Link]:
    async with vhost() as url:
        opened = Link(parse_address(url), CLOCK, name="test")
        try:
            yield opened
        finally:
            await opened.close()


async def some(source: QueueSource, count: int) -> list[Taken]:
    found: list[Taken] = []
    while len(found) < count:
        taken = await source.take(max_messages=count - len(found), max_wait_s=PATIENCE_S)
        assert taken, f"{len(found)} of {count} came"
        found += taken
    return found


def values(taken: list[Taken]) -> list[bytes | None]:
    return [each.message.value for each in taken]


async def test_what_is_not_done_comes_again_with_its_attempts() -> None:
    async with link() as broker:
        topology = Topology(queues=[Queue(name="q")])
        sink = ExchangeSink(broker, "", routing_key="q", topology=topology)
        messages = [Message(b"k%d" % n, b"v%d" % n, (("h", b"%d" % n),)) for n in range(4)]
        await sink.put(messages)
        first = QueueSource(broker, ["q"])
        taken = await some(first, 4)
        assert [each.message for each in taken] == messages
        await first.done(taken[:2])
        (await broker.connection()).abort(Unavailable("lost"))
        again = await some(QueueSource(broker, ["q"]), 2)
        assert values(again) == [b"v2", b"v3"]
        assert dict(again[0].message.headers)[ATTEMPTS] == b"2"


async def test_done_may_come_in_any_order() -> None:
    async with link() as broker:
        sink = ExchangeSink(
            broker, "", routing_key="q", topology=Topology(queues=[Queue(name="q")])
        )
        await sink.put([Message(b"", b"%d" % n) for n in range(4)])
        first = QueueSource(broker, ["q"])
        taken = await some(first, 4)
        await first.done([taken[3], taken[1]])
        await first.done([taken[0], taken[3]])
        await (await broker.channel()).close()  # a round trip: the acknowledgements are there
        (await broker.connection()).abort(Unavailable("lost"))
        assert values(await some(QueueSource(broker, ["q"]), 1)) == [b"2"]


@pytest.mark.parametrize(
    ("kind", "binding", "right", "wrong"),
    [
        (Kind.DIRECT, Binding("q", "x", "a"), "a", "b"),
        (Kind.TOPIC, Binding("q", "x", "order.*"), "order.created", "order.a.b"),
    ],
)
async def test_a_binding_takes_what_its_exchange_routes_by_key(
    kind: Kind, binding: Binding, right: str, wrong: str
) -> None:
    topology = Topology([Exchange("x", kind)], [Queue(name="q", quorum=False)], [binding])
    async with link() as broker:
        await ExchangeSink(broker, "x", routing_key=right, topology=topology).put(
            [Message(b"", b"came")]
        )
        assert values(await some(QueueSource(broker, ["q"]), 1)) == [b"came"]
        with pytest.raises(Unavailable, match="nothing is bound"):
            await ExchangeSink(broker, "x", routing_key=wrong).put([Message(b"", b"lost")])


async def test_a_fanout_exchange_gives_to_every_queue() -> None:
    topology = Topology(
        [Exchange("x", Kind.FANOUT)],
        [Queue(name="a"), Queue(name="b")],
        [Binding("a", "x"), Binding("b", "x")],
    )
    async with link() as broker:
        await ExchangeSink(broker, "x", topology=topology).put([Message(b"", b"v")])
        for queue in ("a", "b"):
            assert values(await some(QueueSource(broker, [queue]), 1)) == [b"v"]


@pytest.mark.parametrize("every", [True, False])
async def test_a_headers_exchange_routes_by_headers(every: bool) -> None:
    binding = Binding("q", "x", headers={"region": "eu", "kind": "order"}, every=every)
    topology = Topology([Exchange("x", Kind.HEADERS)], [Queue(name="q")], [binding])
    half = Message(b"", b"half", (("region", b"eu"),))
    whole = Message(b"", b"whole", (("region", b"eu"), ("kind", b"order")))
    async with link() as broker:
        sink = ExchangeSink(broker, "x", topology=topology)
        await sink.put([whole])
        if every:
            with pytest.raises(Unavailable, match="nothing is bound"):
                await sink.put([half])
        else:
            await sink.put([half])
        expected = [b"whole"] if every else [b"whole", b"half"]
        assert values(await some(QueueSource(broker, ["q"]), len(expected))) == expected


async def test_what_is_too_old_goes_to_the_dead_letter_exchange() -> None:
    topology = Topology(
        [Exchange("dead", Kind.FANOUT)],
        [
            Queue(name="q", ttl_s=0.05, dead_letter_exchange="dead", quorum=False),
            Queue(name="graves"),
        ],
        [Binding("graves", "dead")],
    )
    async with link() as broker:
        sink = ExchangeSink(broker, "", routing_key="q", topology=topology)
        await sink.put([Message(b"k", b"v", (("h", b"1"),))])
        (dead,) = await some(QueueSource(broker, ["graves"]), 1)
    assert (dead.message.key, dead.message.value) == (b"k", b"v")
    headers = dict(dead.message.headers)
    assert headers["h"] == b"1"
    assert b"expired" in headers["x-death"]
    assert headers[ATTEMPTS] == b"2"


async def test_a_message_is_dead_after_its_deliveries() -> None:
    topology = Topology(
        [Exchange("dead", Kind.DIRECT)],
        [
            Queue(
                name="q",
                delivery_limit=2,
                dead_letter_exchange="dead",
                dead_letter_key="all",
            ),
            Queue(name="graves"),
        ],
        [Binding("graves", "dead", "all")],
    )
    async with link() as broker:
        sink = ExchangeSink(broker, "", routing_key="q", topology=topology)
        await sink.put([Message(b"", b"v")])
        source = QueueSource(broker, ["q"])
        seen = []
        for _ in range(3):
            taken = await some(source, 1)
            seen.append(dict(taken[0].message.headers).get(ATTEMPTS, b"1"))
            await source.refuse(taken, requeue=True)
        (dead,) = await some(QueueSource(broker, ["graves"]), 1)
    assert seen == [b"1", b"2", b"3"]
    assert dead.message.value == b"v"


async def test_keys_keep_their_order_over_several_queues_while_consumers_change() -> None:
    queues = ordered(Queue(name="work"), 3)
    names = [queue.name for queue in queues]
    async with link() as broker:
        sink = ExchangeSink(
            broker, "", routing_key="work", count=3, topology=Topology(queues=queues)
        )
        await sink.put([Message(b"k%d" % (n % 7), b"%d" % n) for n in range(90)])
        first, second = QueueSource(broker, names), QueueSource(broker, names)
        taken = await some(first, 40)
        assert not await second.take(max_messages=10, max_wait_s=0.2)  # one at a time
        await first.done(taken)
        (await broker.connection()).abort(Unavailable("lost"))
        taken += await some(second, 50)
    by_key: dict[bytes, list[int]] = {}
    for each in taken:
        by_key.setdefault(each.message.key, []).append(int(each.message.value or b""))
    assert by_key == {b"k%d" % k: list(range(k, 90, 7)) for k in range(7)}


async def test_a_queue_declared_otherwise_is_refused_with_what_differs() -> None:
    async with link() as broker:
        await Topology(queues=[Queue(name="q")]).declare(await broker.channel())
        with pytest.raises(ConfigError, match="x-message-ttl"):
            await Topology(queues=[Queue(name="q", ttl_s=1.0)]).declare(await broker.channel())


async def test_a_queue_that_is_not_there_is_named() -> None:
    async with link() as broker:
        with pytest.raises(Unavailable, match="no queue 'nowhere'"):
            await QueueSource(broker, ["nowhere"]).take(max_messages=1, max_wait_s=1.0)


async def test_a_take_that_is_cancelled_loses_nothing() -> None:
    async with link() as broker:
        topology = Topology(queues=[Queue(name="q")])
        source = QueueSource(broker, ["q"], topology=topology)
        sink = ExchangeSink(broker, "", routing_key="q", topology=topology)
        assert not await source.take(max_messages=1, max_wait_s=0.01)
        await sink.put([Message(b"", b"v")])
        assert values(await some(source, 1)) == [b"v"]
