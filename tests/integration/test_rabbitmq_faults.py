import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest

from motet.core.clock import SystemClock
from motet.core.errors import Fenced, Unavailable
from motet.core.event import Partition
from motet.core.outcome import Emit
from motet.core.ports import Advance, Progress
from motet.testing import FaultProxy
from motet.testing.contracts.consuming import Group, background, leased, read_topic, take
from motet.testing.events import make_event, make_events
from motet.testing.simulation import until
from motet.transports.rabbitmq import RabbitTransport, open_transport
from scripts.services import RabbitMQ
from tests.rabbitmq import managed, vhost
from tests.services import own

CLOCK = SystemClock()
PATIENCE_S = 40.0
SESSION_S = 4.0


@asynccontextmanager
async def opened(url: str, options: str = "") -> AsyncIterator[RabbitTransport]:
    query = f"partitions=2&session_timeout={SESSION_S}&timeout=3{options}"
    async with open_transport(f"{url}?{query}", CLOCK) as transport:
        assert isinstance(transport, RabbitTransport)
        yield transport


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[FaultProxy, str]]:
    parts = urlsplit(url)
    async with FaultProxy(str(parts.hostname), parts.port or 0) as proxy:
        host, port = proxy.address
        yield proxy, f"amqp://{parts.username}:{parts.password}@{host}:{port}{parts.path}"


class Publisher:
    """Publishes in small batches, again and again until each is confirmed."""

    def __init__(self, transport: RabbitTransport) -> None:
        self.confirmed: list[str] = []
        self.failures = 0
        self._transport = transport

    async def run(self) -> None:
        first = 0
        while True:
            events = make_events(20, keys=5, first=first)
            try:
                await self._transport.publish("t", events)
            except Unavailable:
                self.failures += 1
                await CLOCK.sleep(0.05)
            else:
                self.confirmed += [event.id for event in events]
                first += 20

    async def until(self, count: int) -> None:
        await until(lambda: len(self.confirmed) >= count, CLOCK, timeout_s=PATIENCE_S)


def in_order_by_key(group: Group) -> bool:
    """Whether, repeats left out, the events of each key came in the order of publishing."""
    first = dict.fromkeys(group.ids)
    keys = {event.id: event.key for event in group.handled}
    by_key: dict[str, list[str]] = {}
    for event_id in first:
        by_key.setdefault(keys[event_id], []).append(event_id)
    return all(ids == sorted(ids) for ids in by_key.values())


@pytest.mark.open  # one kill in three leaves a partition unread for 40 s and more
@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_nothing_confirmed_is_lost_when_the_broker_is_killed_under_load() -> None:
    with own(RabbitMQ) as broker:
        async with opened(broker.url) as transport:
            await transport.create_topic("t", partitions=2)
            group, publisher = Group(transport, ["t"]), Publisher(transport)
            async with group.consumer(), background(publisher.run()):
                await publisher.until(500)
                await until(
                    lambda: all(broker.knows(f"motet.lease.g.t.{n}") for n in range(2)),
                    CLOCK,
                    timeout_s=PATIENCE_S,
                )
                await asyncio.to_thread(broker.kill)
                await until(lambda: publisher.failures > 0, CLOCK, timeout_s=PATIENCE_S)
                await asyncio.to_thread(broker.start)
                await publisher.until(len(publisher.confirmed) + 500)
                confirmed = set(publisher.confirmed)
                await until(lambda: confirmed <= set(group.ids), CLOCK, timeout_s=PATIENCE_S)
            assert in_order_by_key(group)
            assert sorted(group.ids) == sorted(await ids_below(transport, group.progress))


@pytest.mark.slow
async def test_a_zombie_loses_its_leases_and_comes_back() -> None:
    async with vhost() as url, proxied(url) as (proxy, through), AsyncExitStack() as stack:
        frail = await stack.enter_async_context(opened(through))
        sound = await stack.enter_async_context(opened(url))
        await sound.create_topic("t", partitions=4)
        one, two = Group(frail, ["t"]), Group(sound, ["t"])
        two.progress, two.handled, two.held = one.progress, one.handled, one.held
        async with one.consumer("frail"), two.consumer("sound"):
            await until(lambda: shares(one) == {"frail": 2, "sound": 2}, CLOCK)
            proxy.stall()
            stalled_s = CLOCK.monotonic_s()
            await until(lambda: shares(one) == {"frail": 0, "sound": 4}, CLOCK)
            assert CLOCK.monotonic_s() - stalled_s < 2 * SESSION_S
            await sound.publish("t", make_events(40, keys=12))
            await one.until(40)
            proxy.resume()
            await until(lambda: shares(one) == {"frail": 2, "sound": 2}, CLOCK)
            await sound.publish("t", make_events(40, keys=12, first=40))
            await one.until(80)
        assert sorted(one.ids) == [event.id for event in make_events(80)]


@pytest.mark.slow
async def test_a_zombie_may_not_advance() -> None:
    async with vhost() as url, proxied(url) as (proxy, through), AsyncExitStack() as stack:
        frail = await stack.enter_async_context(opened(through))
        sound = await stack.enter_async_context(opened(url))
        await sound.create_topic("t", partitions=1)
        await sound.publish("t", make_events(2))
        partition = Partition("t", 0)
        emits = (Emit("out", make_event(7)),)
        async with leased(frail, "t") as lease:
            await frail.advance(Advance("g", partition, 1))
            proxy.stall()
            async with leased(sound, "t"):
                assert await sound.advanced("g", partition) == Progress(next=1)
                await sound.advance(Advance("g", partition, 2, ahead=(4,)))
                assert await lease.fetch(max_records=1, max_wait_s=PATIENCE_S) is None
                with pytest.raises(Fenced):
                    await frail.advance(Advance("g", partition, 1, emits=emits))
                assert await sound.advanced("g", partition) == Progress(next=2, ahead=(4,))
            assert [info.name for info in await sound.topics()] == ["t"]
            proxy.resume()


async def test_a_broker_that_hangs_is_noticed_and_used_again_when_it_answers() -> None:
    async with vhost() as url, proxied(url) as (proxy, through), opened(through) as transport:
        await transport.publish("t", [make_event(1)])
        proxy.stall()
        before_s = CLOCK.monotonic_s()
        with pytest.raises(Unavailable, match="did not answer a publish"):
            await transport.publish("t", [make_event(2)])
        with pytest.raises(Unavailable):
            await transport.topics()
        assert CLOCK.monotonic_s() - before_s < 10
        proxy.heal()
        await until(lambda: published(transport, 3), CLOCK)
        assert make_event(3) in await read_topic(transport, "t")


@pytest.mark.parametrize("fault", ["cut", "corrupt"])
async def test_no_error_of_a_driver_comes_through(fault: str) -> None:
    async with vhost() as url, proxied(url) as (proxy, through), opened(through) as transport:
        group = Group(transport, ["t"])
        async with group.consumer():
            assert await published(transport, 1)
            await group.until(1)
            getattr(proxy, fault)()
            for number in range(2, 6):
                await published(transport, number)
            proxy.heal()
            await until(lambda: published(transport, 9), CLOCK)
            await until(lambda: make_event(9).id in group.ids, CLOCK, timeout_s=PATIENCE_S)


async def test_a_stream_that_was_deleted_is_an_error_and_then_made_again() -> None:
    async with vhost() as url, opened(url) as transport:
        await transport.create_topic("t", partitions=1)
        await transport.publish("t", [make_event(1)])
        await managed("DELETE", f"/api/queues{urlsplit(url).path}/t.0")
        with pytest.raises(Unavailable, match="nothing is bound"):
            await transport.publish("t", [make_event(2)])
        await transport.publish("t", [make_event(3)])
        assert await read_topic(transport, "t") == [make_event(3)]


async def test_a_stream_that_was_deleted_is_made_again_by_who_looks_or_reads() -> None:
    async with vhost() as url, opened(url) as transport:
        await transport.create_topic("t", partitions=1)
        await managed("DELETE", f"/api/queues{urlsplit(url).path}/t.0")
        with pytest.raises(Unavailable, match=r"no queue 't\.0'"):
            await transport.topics()
        assert [info.ends for info in await transport.topics()] == [(0,)]
        group = Group(transport, ["t"])
        async with group.consumer():
            await until(lambda: shares(group) == {"consumer": 1}, CLOCK)
            await managed("DELETE", f"/api/queues{urlsplit(url).path}/t.0")
            await until(lambda: not group.held["consumer"], CLOCK, every_s=0.0001)
            await until(lambda: published(transport, 1), CLOCK)
            await group.until(1)


async def test_a_group_survives_many_members_coming_and_going() -> None:
    async with vhost() as url, opened(url) as transport:
        await transport.create_topic("t", partitions=4)
        group, publisher = Group(transport, ["t"]), Publisher(transport)
        async with background(publisher.run()), group.consumer("stays"):
            for number in range(12):
                async with group.consumer(f"a{number}"), group.consumer(f"b{number}"):
                    handled = len(group.handled)
                    await group.until(handled + 20)
            await publisher.until(200)
        async with group.consumer("last"):
            await group.until(len(await read_topic(transport, "t")))
    assert set(publisher.confirmed) <= set(group.ids)
    assert len(group.ids) == len(set(group.ids))
    assert in_order_by_key(group)


async def test_advance_publishes_and_the_next_reader_goes_on_from_there() -> None:
    async with vhost() as url, opened(url) as transport:
        await transport.create_topic("t", partitions=1)
        await transport.publish("t", make_events(5))
        partition = Partition("t", 0)
        with pytest.raises(Fenced):
            await transport.advance(Advance("g", partition, 1))
        async with leased(transport, "t") as lease:
            assert await transport.advanced("g", partition) == Progress()
            events = await take(lease, 3)
            emits = tuple(Emit("out", event) for event in events)
            await transport.advance(Advance("g", partition, 3, ahead=(4,), emits=emits))
        async with opened(url) as other:
            assert await other.advanced("g", partition) == Progress(next=3, ahead=(4,))
            assert await other.advanced("another", partition) == Progress()
            assert sorted(e.id for e in await read_topic(other, "out")) == [e.id for e in events]


async def ids_below(transport: RabbitTransport, progress: dict[Partition, int]) -> list[str]:
    ids: list[str] = []
    for partition, end in progress.items():
        batch = await transport.read(partition, offset=0, limit=100_000)
        ids += [record.event.id for record in batch.records if record.offset < end]
    return ids


def shares(group: Group) -> dict[str, int]:
    return {name: len(held) for name, held in group.held.items()}


async def published(transport: RabbitTransport, number: int) -> bool:
    try:
        await transport.publish("t", [make_event(number)])
    except Unavailable:
        return False
    return True
