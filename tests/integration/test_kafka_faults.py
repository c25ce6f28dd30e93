"""Kafka killed under load, groups that never rest, members that hang and come back."""

import asyncio
import os
import secrets
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from motet.core.arrivals import TOMBSTONE
from motet.core.clock import SystemClock
from motet.core.codec import encode
from motet.core.errors import Fenced, TransientError, Unavailable
from motet.core.event import Event, Partition
from motet.core.ports import Advance, Lease, Transport
from motet.testing.contracts.consuming import Group, background, leased, read_topic, take
from motet.testing.events import make_event, make_events
from motet.testing.simulation import until
from motet.transports.kafka import KafkaTransport, open_transport
from motet.transports.kafka.consuming import GroupConsumer
from motet.transports.kafka.errors import translated
from motet.transports.kafka.membership import Membership
from motet.transports.kafka.messages import Outgoing
from motet.transports.kafka.options import parse_url
from motet.transports.kafka.transactions import Transactor, Work
from scripts.services import Kafka
from tests.services import own, real

CLOCK = SystemClock()
CHILD = Path(__file__).parent / "kafka_child.py"
QUICK = "timeout=2&session_timeout=2"


@pytest.fixture
def server() -> Iterator[Kafka]:
    with own(Kafka) as kafka:
        yield kafka


@pytest.fixture
async def transport() -> AsyncIterator[KafkaTransport]:
    async with open_transport(shared(), CLOCK) as opened:
        try:
            yield opened
        finally:
            await opened.delete_topics()


def shared() -> str:
    """The cluster of all tests, under a prefix of this test's own."""
    return f"{real('kafka')}?{QUICK}&prefix=faults-{secrets.token_hex(4)}."


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


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_what_was_acknowledged_outlives_a_broker_killed_under_load(server: Kafka) -> None:
    acknowledged: list[str] = []
    seen: list[str] = []
    async with open_transport(f"{server.url}?{QUICK}", CLOCK) as transport:
        await transport.create_topic("t", partitions=1)
        async with background(consume(transport, seen)):
            async with background(publish_from(transport, acknowledged)):
                for _ in range(2):
                    goal = len(seen) + 100
                    await until(lambda goal=goal: len(seen) >= goal, CLOCK)
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)
                goal = len(seen) + 100
                await until(lambda: len(seen) >= goal, CLOCK)
            await until(lambda: set(acknowledged) <= set(seen), CLOCK)
    assert len(acknowledged) >= 200
    firsts = list(dict.fromkeys(seen))
    assert firsts == sorted(firsts)


@pytest.mark.kill
@pytest.mark.slow
async def test_a_broker_that_is_gone_is_said_soon_and_by_name(server: Kafka) -> None:
    where = server.url.removeprefix("kafka://")
    patient = "timeout=2&session_timeout=60"  # the lease outlasts all of this
    async with open_transport(f"{server.url}?{patient}", CLOCK) as transport:
        await transport.create_topic("t", partitions=1)
        async with leased(transport, "t") as lease:
            await lease.seek(0)
            await asyncio.to_thread(server.kill)
            for call in (
                lambda: lease.fetch(max_records=1, max_wait_s=10.0),
                lambda: transport.publish("t", [make_event(1)]),
                lambda: transport.topics(),
                lambda: transport.read(Partition("t", 0), offset=0, limit=1),
                lambda: transport.advance(Advance("g", Partition("t", 0), 1)),
                lambda: transport.advanced("g", Partition("t", 0)),
            ):
                async with asyncio.timeout(10):
                    with pytest.raises(Unavailable, match=where):
                        await call()
            with pytest.raises(Unavailable, match=where):
                async with open_transport(f"{server.url}?{QUICK}", CLOCK):
                    pass
            await asyncio.to_thread(server.start)
            await until(lambda: _published(transport, 2), CLOCK)
            await until(lambda: _readable(transport, lease.partition), CLOCK)
            await until(lambda: _fetched(lease), CLOCK)


async def _published(transport: Transport, number: int) -> bool:
    try:
        await transport.publish("t", [make_event(number)])
    except Unavailable:
        return False
    return True


async def _fetched(lease: Lease) -> bool:
    try:
        batch = await lease.fetch(max_records=10, max_wait_s=1.0)
    except Unavailable:
        return False
    assert batch is not None, "the lease was lost"
    return bool(batch.records)


async def _readable(transport: Transport, partition: Partition) -> bool:
    try:
        return bool((await transport.read(partition, offset=0, limit=1)).records)
    except Unavailable:
        return False


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_fifty_joins_and_leaves_lose_nothing_and_keep_the_order_of_keys(
    transport: KafkaTransport,
) -> None:
    acknowledged: list[str] = []
    await transport.create_topic("t", partitions=4)
    group = Group(transport, ["t"])
    async with group.consumer("always"):
        async with background(publish_keys(transport, acknowledged)):
            for number in range(50):
                async with AsyncExitStack() as stack:
                    await stack.enter_async_context(group.consumer(f"guest {number}"))
                    goal = len(group.handled) + 10
                    await until(lambda goal=goal: len(group.handled) >= goal, CLOCK)
                    if number % 5 == 0:  # some stay long enough to have a share
                        await until(lambda name=f"guest {number}": bool(group.held[name]), CLOCK)
        await until(lambda: set(acknowledged) <= set(group.ids), CLOCK)
    assert len(group.ids) == len(set(group.ids))
    for key in {event.key for event in group.handled}:
        ids = [event.id for event in group.handled if event.key == key]
        assert ids == sorted(ids)


async def publish_keys(transport: Transport, acknowledged: list[str]) -> None:
    for first in range(0, 1_000_000, 10):
        events = make_events(10, keys=7, first=first)
        await transport.publish("t", events)
        acknowledged += [event.id for event in events]
        await CLOCK.sleep(0.005)


@pytest.mark.slow
async def test_a_member_that_hangs_loses_its_lease_and_comes_back_by_itself() -> None:
    url = shared()
    async with open_transport(url, CLOCK) as transport:
        await transport.create_topic("t", partitions=1)
        await transport.publish("t", [make_event(1)])
        async with child(url) as process:
            assert await said(process, "leased") == "leased t/0"
            assert await said(process, "came") == f"came {make_event(1).id}"
            process.send_signal(signal.SIGSTOP)
            async with leased(transport, "t") as lease:
                await lease.seek(0)
                assert await take(lease, 1) == [make_event(1)]
                process.send_signal(signal.SIGCONT)
                assert await said(process, "lost") == "lost t/0"
            assert await said(process, "leased") == "leased t/0"
        await transport.delete_topics()


@asynccontextmanager
async def child(url: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), url, "t", stdout=PIPE, env=dict(os.environ)
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def said(process: Process, word: str) -> str:
    """The next line that begins with a word."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while True:
            line = (await process.stdout.readline()).decode().strip()
            if line.startswith(word):
                return line


async def test_a_step_of_a_member_that_was_replaced_is_fenced_and_publishes_nothing() -> None:
    url = f"{shared()}&transactions=on"
    address = parse_url(url)
    prefix = address.options.prefix
    async with open_transport(url, CLOCK) as transport:
        await transport.create_topic("t", partitions=1)
        await transport.create_topic("out", partitions=1)
        member = Membership(address, ["t"], group="g", clock=CLOCK)
        async with member.joined():
            await anext(member)
            stale = member.consumer.place_in_group()
        transactor = Transactor(address, name=f"{prefix}zombie", member=lambda: stale, clock=CLOCK)
        transactor.start()
        async with leased(transport, "t"):
            message: Outgoing = {"key": b"k", "value": encode(make_event(1)), "partition": 0}
            work = Work((f"{prefix}t", 0), 1, "", [(f"{prefix}out", [message])])
            error = await transactor.commit(work)
            assert error is not None
            assert isinstance(translated(error, doing="", servers=""), Fenced)
            assert (await transport.advanced("g", Partition("t", 0))).next == 0
        await transactor.stop()
        assert await read_topic(transport, "out") == []
        await transport.delete_topics()


async def test_a_topic_that_ends_in_what_was_taken_back_is_read_to_its_end(
    transport: KafkaTransport,
) -> None:
    """Until then a worker would seem to be behind for ever."""
    await transport.create_topic("t", partitions=1)
    await transport.publish("t", [make_event(1)])
    name = f"{transport.address.options.prefix}t"
    settings = {**transport.address.client, "transactional.id": name}
    await asyncio.to_thread(_take_back, Producer(settings), name)

    async def end() -> int:
        (info,) = await transport.topics()
        return info.ends[0]

    async def marked() -> bool:  # a moment after the producer was told so
        return await end() == 3

    await until(marked, CLOCK)
    async with leased(transport, "t") as lease:
        await lease.seek(0)
        assert await take(lease, 1) == [make_event(1)]
        batch = await lease.fetch(max_records=10, max_wait_s=10.0)
    assert batch is not None
    assert (batch.records, batch.end) == ((), 3)
    assert (await transport.read(Partition("t", 0), offset=1, limit=10)).end == 3


def _take_back(producer: Producer, topic: str) -> None:
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(topic, encode(make_event(2)), b"k", partition=0)
    producer.flush(10)
    producer.abort_transaction(10)


async def test_a_tombstone_comes_back_as_one(transport: KafkaTransport) -> None:
    gone = Event(id="gone-1", type=TOMBSTONE, time="2026-05-25T10:15:30.000123Z", key="k")
    await transport.create_topic("t", partitions=1, config={"cleanup.policy": "compact"})
    await transport.publish("t", [make_event(1, key="k"), gone])
    async with leased(transport, "t") as lease:
        await lease.seek(0)
        batch = await lease.fetch(max_records=10, max_wait_s=10.0)
        while batch is not None and not any(r.event.id == "gone-1" for r in batch.records):
            batch = await lease.fetch(max_records=10, max_wait_s=10.0)
    assert batch is not None
    last = batch.records[-1]
    assert (last.value, last.event) == (b"", msgspec.structs.replace(gone, source="/motet"))


@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_events_are_written_as_cloudevents_where_the_url_says_so(mode: str) -> None:
    async with open_transport(f"{shared()}&cloudevents={mode}", CLOCK) as transport:
        await transport.create_topic("t", partitions=1)
        await transport.publish("t", [make_event(1, key="k")])
        ((record),) = (await transport.read(Partition("t", 0), offset=0, limit=10)).records
        await transport.delete_topics()
    names = {name for name, _ in record.headers}
    assert names >= ({"ce_id", "ce_type"} if mode == "binary" else {"content-type"})
    assert (record.event.id, record.event.key) == (make_event(1).id, "k")
    assert bytes(record.event.data) == bytes(make_event(1).data)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_consumer_that_ends_by_an_error_is_not_dead_in_silence(
    transport: KafkaTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(consumer: GroupConsumer, client: object) -> None:
        raise RuntimeError("nobody foresaw this")

    await transport.create_topic("t", partitions=1)
    async with transport.subscribe(["t"], group="g") as leases, asyncio.timeout(30):
        lease = await anext(leases)
        await lease.seek(0)
        monkeypatch.setattr(GroupConsumer, "_cycle", fail)
        with pytest.raises(Unavailable, match="joined anew"):
            await anext(leases)
        assert await lease.fetch(max_records=1, max_wait_s=30) is None
