"""Redis killed, cut off, stalled; consumers that hang and come back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from motet.core.clock import SystemClock
from motet.core.errors import Fenced, TransientError, Unavailable
from motet.core.event import Partition
from motet.core.outcome import Emit
from motet.core.ports import Advance, Lease, Transport
from motet.testing import FaultProxy
from motet.testing.contracts.consuming import background, leased, take
from motet.testing.events import make_event, make_events
from motet.testing.simulation import until
from motet.transports.redis import RedisTransport, open_transport
from scripts.services import Redis
from tests.services import own

CLOCK = SystemClock()
PARTITION = Partition("t", 0)
QUICK = "timeout=1&session_timeout=1"


@pytest.fixture
def server() -> Iterator[Redis]:
    """A Redis of this test's own, that has on disk what it says it has."""
    with own(Redis) as redis:
        yield redis


@pytest.fixture
async def transport(server: Redis) -> AsyncIterator[RedisTransport]:
    async with open_transport(f"{server.url}?{QUICK}", CLOCK) as opened:
        await opened.create_topic("t", partitions=1)
        yield opened


async def publish_from(transport: Transport, acknowledged: list[str]) -> None:
    """Publish one event after another, for ever; what has no answer is tried again."""
    for number in range(1_000_000):
        while True:
            try:
                await transport.publish("t", [make_event(number)])
            except TransientError:
                await CLOCK.sleep(0.01)
            else:
                break
        acknowledged.append(make_event(number).id)
        await CLOCK.sleep(0)


async def consume(transport: Transport, seen: list[str]) -> None:
    """Consume for ever, as a worker does: what goes wrong for now is tried again."""
    progress = 0
    async with transport.subscribe(["t"], group="g") as leases:
        async for lease in leases:
            await lease.seek(progress)
            while True:
                try:
                    batch = await lease.fetch(max_records=100, max_wait_s=1.0)
                except TransientError:
                    await CLOCK.sleep(0.01)
                    continue
                if batch is None:
                    break
                seen += [record.event.id for record in batch.records]
                progress = batch.end
                await lease.ack(progress)


@contextmanager
def durable(server: Redis) -> Iterator[None]:
    server.stop()
    config = server.folder / "redis.conf"
    prepare, text = server.prepare, config.read_text()

    def synced() -> None:
        config.write_text(text.replace("appendfsync everysec", "appendfsync always"))

    server.prepare = synced  # type: ignore[method-assign]  # the one thing that differs
    server.start()
    yield
    server.prepare = prepare  # type: ignore[method-assign]


@pytest.mark.kill
async def test_what_was_acknowledged_outlives_a_server_killed_under_load(server: Redis) -> None:
    acknowledged: list[str] = []
    seen: list[str] = []
    with durable(server):
        async with open_transport(f"{server.url}?{QUICK}", CLOCK) as transport:
            await transport.create_topic("t", partitions=1)
            async with background(consume(transport, seen)):
                async with background(publish_from(transport, acknowledged)):
                    for _ in range(3):
                        goal = len(seen) + 100
                        await until(lambda goal=goal: len(seen) >= goal, CLOCK)
                        await asyncio.to_thread(server.kill)
                        await asyncio.to_thread(server.start)
                await until(lambda: set(acknowledged) <= set(seen), CLOCK)
    assert len(acknowledged) >= 300
    firsts = list(dict.fromkeys(seen))
    assert firsts == sorted(firsts)


@pytest.mark.kill
async def test_a_consumer_goes_on_by_itself_within_seconds_of_a_restart(
    server: Redis, transport: RedisTransport
) -> None:
    seen: list[str] = []
    async with background(consume(transport, seen)):
        await transport.publish("t", [make_event(0)])
        await until(lambda: len(seen) == 1, CLOCK)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await _published(transport, make_event(1).id, 1)
        await until(lambda: make_event(1).id in seen, CLOCK, timeout_s=3.0)


async def _published(transport: Transport, id: str, number: int) -> None:
    async def done() -> bool:
        try:
            await transport.publish("t", [make_event(number, id=id)])
        except Unavailable:
            return False
        return True

    await until(done, CLOCK, timeout_s=5.0)


async def test_a_server_that_is_gone_is_said_at_once_and_by_name(
    server: Redis, transport: RedisTransport
) -> None:
    async with leased(transport, "t") as lease:
        await lease.seek(0)
        await asyncio.to_thread(server.kill)
        async with asyncio.timeout(8.0):
            for call in (
                lambda: transport.publish("t", [make_event(1)]),
                lambda: transport.topics(),
                lambda: transport.read(PARTITION, offset=0, limit=1),
                lambda: transport.advanced("g", PARTITION),
                lambda: transport.changed(1.0),
                lambda: lease.fetch(max_records=1, max_wait_s=30.0),
            ):
                with pytest.raises(Unavailable, match=f"127.0.0.1:{server.port}"):
                    await call()


@asynccontextmanager
async def proxied(server: Redis) -> AsyncIterator[tuple[FaultProxy, RedisTransport]]:
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        host, port = proxy.address
        async with open_transport(f"redis://{host}:{port}/0?{QUICK}", CLOCK) as transport:
            await transport.create_topic("t", partitions=1)
            yield proxy, transport


async def test_a_stalled_connection_is_noticed_and_replaced(server: Redis) -> None:
    seen: list[str] = []
    async with proxied(server) as (proxy, transport), background(consume(transport, seen)):
        await transport.publish("t", [make_event(0)])
        await until(lambda: len(seen) == 1, CLOCK)
        proxy.stall()
        with pytest.raises(Unavailable, match="no reply within 1 s"):
            await transport.publish("t", [make_event(1)])
        proxy.cut()
        proxy.resume()
        await _published(transport, make_event(2).id, 2)
        await until(lambda: make_event(2).id in seen, CLOCK, timeout_s=5.0)


async def test_connections_cut_again_and_again_lose_nothing(server: Redis) -> None:
    acknowledged: list[str] = []
    seen: list[str] = []
    async with proxied(server) as (proxy, transport), background(consume(transport, seen)):
        async with background(publish_from(transport, acknowledged)):
            for _ in range(10):
                goal = len(acknowledged) + 20
                await until(lambda goal=goal: len(acknowledged) >= goal, CLOCK)
                proxy.cut()
        await until(lambda: set(acknowledged) <= set(seen), CLOCK)


async def test_a_consumer_that_hangs_loses_its_lease_and_cannot_move_progress(
    server: Redis,
) -> None:
    async with (
        proxied(server) as (proxy, zombie),
        open_transport(f"{server.url}?{QUICK}", CLOCK) as healthy,
    ):
        await healthy.publish("t", make_events(10))
        async with zombie.subscribe(["t"], group="g") as leases:
            old = await anext(leases)
            await old.seek(0)
            await take(old, 5)
            proxy.stall()
            async with leased(healthy, "t") as lease:
                await lease.seek(0)
                await take(lease, 10)
                step = Advance("g", PARTITION, 10, (), (Emit("out", make_event(1)),))
                await healthy.advance(step)
                proxy.resume()  # what it sent before it was cut off arrives only now
                with pytest.raises(Fenced):
                    await _answered(zombie, Advance("g", PARTITION, 5))
                await until(lambda: _ended(old), CLOCK)
                assert (await healthy.advanced("g", PARTITION)).next == 10
            again = await asyncio.wait_for(anext(leases), 10.0)
            assert again.partition == PARTITION
            assert (await zombie.advanced("g", PARTITION)).next == 10


async def _ended(lease: Lease) -> bool:
    try:
        return await lease.fetch(max_records=1, max_wait_s=0.0) is None
    except Unavailable:
        return False


async def _answered(transport: RedisTransport, step: Advance) -> None:
    while True:
        try:
            return await transport.advance(step)
        except Unavailable:
            await CLOCK.sleep(0.01)


async def test_steps_cut_off_half_way_lead_to_each_emit_exactly_once(server: Redis) -> None:
    async with proxied(server) as (proxy, transport):
        await transport.publish("t", make_events(150))
        await transport.create_topic("out", partitions=1)
        async with (
            background(_cut_now_and_then(proxy)),
            transport.subscribe(["t"], group="g") as leases,
        ):
            lease, done = await anext(leases), 0
            while done < 150:
                try:
                    done = (await transport.advanced("g", PARTITION)).next
                    await lease.seek(done)
                    batch = await lease.fetch(max_records=5, max_wait_s=1.0)
                    if batch is None:  # cut off for longer than its session
                        lease = await anext(leases)
                        continue
                    emits = tuple(Emit("out", record.event) for record in batch.records)
                    await transport.advance(Advance("g", PARTITION, batch.end, (), emits))
                except (TransientError, Fenced):
                    await CLOCK.sleep(0.001)
        async with open_transport(server.url, CLOCK) as direct:
            out = await direct.read(Partition("out", 0), offset=0, limit=1000)
    assert [r.event.id for r in out.records] == [event.id for event in make_events(150)]


async def _cut_now_and_then(proxy: FaultProxy) -> None:
    while True:
        await CLOCK.sleep(0.01 + 0.1 * CLOCK.random())
        proxy.cut()
