"""What is on the server: progress, groups as other tools see them, entries of other programs."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis

from motet.core.clock import SystemClock
from motet.core.errors import ConfigError, Fenced, Unavailable
from motet.core.event import Message, Partition
from motet.core.outcome import Emit
from motet.core.ports import Advance, Progress
from motet.testing.contracts.consuming import Group, leased, read_topic, take
from motet.testing.events import make_event, make_events
from motet.testing.simulation import until
from motet.transports.redis import RedisTransport, open_transport
from tests.services import Valkey, own, real, valkey

CLOCK = SystemClock()
PARTITION = Partition("t", 0)


@pytest.fixture
def prefix() -> str:
    return f"t{secrets.token_hex(6)}:"


@pytest.fixture
def url(prefix: str) -> str:
    return f"{valkey()}?prefix={prefix}"


@pytest.fixture
def direct(prefix: str) -> Iterator[Redis]:
    with Redis.from_url(valkey(), decode_responses=True) as redis:
        yield redis
        for key in redis.scan_iter(f"{prefix}*", count=10_000):
            redis.unlink(key)


@pytest.fixture
async def transport(url: str, direct: Redis) -> AsyncIterator[RedisTransport]:
    async with open_transport(url, CLOCK) as opened:
        await opened.create_topic("t", partitions=1)
        yield opened


def emits(*numbers: int) -> tuple[Emit, ...]:
    return tuple(Emit("out", make_event(n)) for n in numbers)


async def test_progress_is_where_the_last_step_left_it(transport: RedisTransport) -> None:
    async with leased(transport, "t"):
        assert await transport.advanced("g", PARTITION) == Progress()
        await transport.advance(Advance("g", PARTITION, 3, (5, 7), emits(1, 2)))
        assert await transport.advanced("g", PARTITION) == Progress(next=3, ahead=(5, 7))
        await transport.advance(Advance("g", PARTITION, 8))
        assert await transport.advanced("g", PARTITION) == Progress(next=8)
        assert await transport.advanced("other", PARTITION) == Progress()
    assert await read_topic(transport, "out") == [make_event(1), make_event(2)]


async def test_progress_outlives_the_process(transport: RedisTransport, url: str) -> None:
    async with leased(transport, "t"):
        await transport.advance(Advance("g", PARTITION, 3))
    async with open_transport(url, CLOCK) as another:
        assert (await another.advanced("g", PARTITION)).next == 3


async def test_who_holds_no_lease_cannot_advance(transport: RedisTransport) -> None:
    with pytest.raises(Fenced):
        await transport.advance(Advance("g", PARTITION, 3, (), emits(1)))
    async with leased(transport, "t"):
        pass
    with pytest.raises(Fenced):
        await transport.advance(Advance("g", PARTITION, 3, (), emits(1)))
    assert await read_topic(transport, "out") == []


async def test_the_server_fences_off_who_does_not_know_yet_that_its_lease_is_gone(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    async with leased(transport, "t"):
        direct.hset(f"{prefix}group:g:leases", "t/0", "7")
        with pytest.raises(Fenced):  # sooner than it looks again
            await transport.advance(Advance("g", PARTITION, 3, (), emits(1)))
        assert (await transport.advanced("g", PARTITION)).next == 0
    assert await read_topic(transport, "out") == []


async def test_a_step_from_progress_that_has_moved_changes_nothing(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    async with leased(transport, "t"):
        await transport.advanced("g", PARTITION)
        direct.hset(f"{prefix}{{t}}:progress:g", "0", "[2,[]]")  # a reply that was lost
        with pytest.raises(Fenced, match="moved on"):
            await transport.advance(Advance("g", PARTITION, 2, (), emits(1)))
        assert await read_topic(transport, "out") == []
        assert (await transport.advanced("g", PARTITION)).next == 2
        await transport.advance(Advance("g", PARTITION, 3, (), emits(2)))
    assert await read_topic(transport, "out") == [make_event(2)]


async def test_other_tools_see_how_far_a_group_is(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    await transport.publish("t", make_events(10))
    stream = f"{prefix}{{t}}:0"

    def lag() -> int:
        (group,) = direct.xinfo_groups(stream)
        assert (group["name"], group["pending"]) == ("g", 0)
        return int(group["lag"])

    async with leased(transport, "t") as lease:
        await lease.seek(0)
        assert lag() == 10
        await take(lease, 6)
        await lease.ack(4)
        await until(lambda: lag() == 6, CLOCK)
        await transport.advance(Advance("g", PARTITION, 6))
        assert lag() == 4
        await lease.ack(10)
    assert lag() == 0


async def test_messages_are_kept_whole(transport: RedisTransport) -> None:
    messages = [
        Message(key=b"k1", value=b'{"eventType":"a.b"}', headers=(("x", b"1"), ("x", b"\xff"))),
        Message(key=b"k2", value=None),
        Message(key=b"k3", value=b"no event"),
    ]
    await transport.send("t", messages)
    batch = await transport.read(PARTITION, offset=0, limit=10)
    first, second = batch.records
    (third,) = batch.broken
    assert (first.event.type, first.event.key) == ("a.b", "k1")
    assert first.headers == (("x", b"1"), ("x", b"\xff"))
    assert first.value == b'{"eventType":"a.b"}'
    assert (second.event.type, second.event.key) == ("tombstone", "k2")
    assert (third.key, third.value, third.offset) == (b"k3", b"no event", 2)


async def test_another_program_may_append(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    stream = f"{prefix}{{t}}:0"
    await transport.publish("t", [make_event(0)])
    direct.xadd(stream, {"data": '{"eventType":"from.outside"}'}, id="1-*")
    direct.xadd(stream, {"eventType": "flat", "timestamp": "2026-01-01T00:00:00Z"}, id="1-*")
    direct.xadd(stream, {"temperature": "12"}, id="1-*")
    async with leased(transport, "t") as lease:
        events = await take(lease, 3)
    assert [event.type for event in events] == ["thing.happened", "from.outside", "flat"]
    again = await transport.read(PARTITION, offset=0, limit=10)
    assert [record.event for record in again.records] == events
    assert [broken.offset for broken in again.broken] == [3]


async def test_entries_numbered_by_time_are_refused_by_name(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    stream = f"{prefix}{{t}}:0"
    direct.xadd(stream, {"data": "{}"})
    with pytest.raises(ConfigError, match=r"1-\*"):
        await transport.read(PARTITION, offset=0, limit=10)
    with pytest.raises(ConfigError):
        await transport.publish("t", [make_event(0)])


async def test_a_publish_that_one_partition_cannot_take_appends_to_none(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    await transport.create_topic("u", partitions=2)
    direct.xadd(f"{prefix}{{u}}:1", {"data": "{}"})
    with pytest.raises(ConfigError, match=r"u.*:1"):
        await transport.publish("u", make_events(20, keys=20))
    assert direct.exists(f"{prefix}{{u}}:0") == 0


@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_events_are_written_as_cloudevents(
    url: str, direct: Redis, prefix: str, mode: str
) -> None:
    events = make_events(3)
    async with open_transport(f"{url}&cloudevents={mode}", CLOCK) as transport:
        await transport.create_topic("t", partitions=1)
        await transport.publish("t", events)
        async with leased(transport, "t") as lease:
            assert await take(lease, 3) == events
            await transport.advance(Advance("g", PARTITION, 3, (), emits(9)))
        assert await read_topic(transport, "out") == [make_event(9)]
    ((_, fields), *_) = direct.xrange(f"{prefix}{{t}}:0")
    if mode == "binary":
        assert (fields["ce_id"], fields["content-type"]) == (events[0].id, "application/json")
        assert fields["data"] == "0"
    else:
        assert fields["content-type"].startswith("application/cloudevents+json")


async def test_retention_waits_for_every_group(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    stream = f"{prefix}{{t}}:0"
    await transport.create_topic("t", partitions=1, retention_s=0.0)
    await transport.publish("t", make_events(10))
    direct.xgroup_create(stream, "another program", "0")
    async with leased(transport, "t") as lease:
        await lease.seek(0)
        await take(lease, 10)
    await _trimmed(transport, 0)
    direct.xreadgroup("another program", "c", {stream: ">"}, count=8)
    await _trimmed(transport, 0)
    direct.xack(stream, "another program", "1-0", "1-1", "1-2")
    await _trimmed(transport, 0)  # who held the lease has committed nothing
    async with leased(transport, "t") as lease:
        await lease.seek(9)
        await lease.ack(9)
    await _trimmed(transport, 3)


async def _trimmed(transport: RedisTransport, start: int) -> None:
    for _ in range(2):  # one to see how long it is, one to let go
        await transport.trim()
    assert (await transport.topics())[0].starts == (start,)


async def test_hard_retention_waits_for_nobody(url: str, direct: Redis, prefix: str) -> None:
    async with open_transport(f"{url}&retention=hard&max_events=4", CLOCK) as transport:
        await transport.create_topic("t", partitions=1)
        await transport.publish("t", make_events(10))
        direct.xgroup_create(f"{prefix}{{t}}:0", "slow", "0")
        await _trimmed(transport, 6)


async def test_a_group_of_another_program_is_taken_over_where_it_stood(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    stream = f"{prefix}{{t}}:0"
    await transport.publish("t", make_events(10))
    direct.xgroup_create(stream, "g", "0")
    direct.xreadgroup("g", "a dead consumer", {stream: ">"}, count=8)
    direct.xack(stream, "g", "1-0", "1-1", "1-2")
    async with leased(transport, "t") as lease:
        progress = await transport.advanced("g", PARTITION)
        assert progress == Progress(next=3)
        await lease.seek(progress.next)
        assert [event.id for event in await take(lease, 7)] == [
            event.id for event in make_events(7, first=3)
        ]
        await lease.ack(6)
        await until(lambda: direct.xpending(stream, "g")["pending"] == 2, CLOCK)
        assert [each["name"] for each in direct.xpending(stream, "g")["consumers"]] == ["motet"]
        await transport.advance(Advance("g", PARTITION, 10))
        await lease.ack(10)
    assert direct.xpending(stream, "g")["pending"] == 0
    (group,) = direct.xinfo_groups(stream)
    assert (group["last-delivered-id"], group["lag"]) == ("1-9", 0)


async def test_a_group_without_pending_entries_is_taken_over_after_its_last(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    await transport.publish("t", make_events(10))
    direct.xgroup_create(f"{prefix}{{t}}:0", "g", "1-4")
    assert await transport.advanced("g", PARTITION) == Progress(next=5)
    assert await transport.advanced("nobody", PARTITION) == Progress()
    assert await transport.advanced("g", Partition("none", 0)) == Progress()


async def test_a_partition_whose_taking_was_cut_off_half_way_is_taken_again(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    leases_key = f"{prefix}group:g:leases"
    async with transport.subscribe(["t", "later"], group="g") as leases:
        await anext(leases)
        # As after a reply that was lost: the server says it is ours, and we do not know.
        direct.hset(leases_key, "later/0", str(direct.hget(leases_key, "t/0")))
        await transport.create_topic("later", partitions=1)
        async with asyncio.timeout(5.0):
            assert (await anext(leases)).partition == Partition("later", 0)


async def test_scripts_that_the_server_has_lost_are_given_again(
    transport: RedisTransport, direct: Redis
) -> None:
    direct.script_flush()
    await transport.publish("t", [make_event(1)])
    direct.script_flush()
    (info,) = await transport.topics()
    assert info.events == 1
    direct.script_flush()
    async with leased(transport, "t") as lease:
        assert await take(lease, 1) == [make_event(1)]


async def test_a_topic_that_the_server_has_forgotten_is_made_again(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    await transport.publish("t", [make_event(1)])
    direct.delete(f"{prefix}topics")
    await transport.publish("t", [make_event(2)])
    (info,) = await transport.topics()
    assert (info.name, info.partitions) == ("t", 8)


async def test_a_server_that_forgot_everything_is_consumed_from_again(
    transport: RedisTransport, direct: Redis, prefix: str
) -> None:
    await transport.publish("t", make_events(5))
    group = Group(transport, ["t"])
    async with group.consumer():
        await group.until(5)
        for key in direct.scan_iter(f"{prefix}*"):
            direct.delete(key)
        group.progress.clear()  # its store would be reset by hand
        await transport.publish("t", make_events(5, first=5))
        await group.until(10)


async def test_a_group_that_is_beyond_what_the_server_has_is_said(
    transport: RedisTransport, caplog: pytest.LogCaptureFixture
) -> None:
    await transport.publish("t", make_events(5))
    async with leased(transport, "t") as lease:
        await lease.seek(9)
        await until(lambda: "redis.data_lost" in caplog.text, CLOCK)


async def test_fifty_joins_and_leaves_lose_nothing(transport: RedisTransport) -> None:
    await transport.create_topic("many", partitions=6)
    group = Group(transport, ["many"])
    events = make_events(500, keys=30)

    async def come_and_go(number: int) -> None:
        for turn in range(10):
            async with group.consumer(f"c{number}.{turn}"):
                await CLOCK.sleep(0.3 * CLOCK.random())

    async def publish() -> None:
        for first in range(0, 500, 10):
            await transport.publish("many", events[first : first + 10])
            await CLOCK.sleep(0.02)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publish())
        for number in range(5):
            tasks.create_task(come_and_go(number))
    async with group.consumer("last"):
        await group.until(500)
    assert sorted(group.ids) == [event.id for event in events]
    for key in {event.key for event in events}:
        came = [event.id for event in group.handled if event.key == key]
        assert came == sorted(came)


async def test_replicas_that_do_not_confirm_are_said(url: str, direct: Redis) -> None:
    async with open_transport(f"{url}&wait=1&timeout=0.2", CLOCK) as transport:
        with pytest.raises(Unavailable, match="0 of 1 replicas"):
            await transport.publish("t", [make_event(1)])


async def test_the_disk_is_waited_for() -> None:
    with own(Valkey) as server:
        async with open_transport(f"{server.url}?waitaof=1", CLOCK) as transport:
            assert await transport.publish("t", [make_event(1)]) == 1


async def test_a_wrong_password_is_refused_without_being_shown() -> None:
    with own(Valkey) as server:
        with Redis.from_url(server.url) as redis:
            redis.config_set("requirepass", "right-password")
        at = f"127.0.0.1:{server.port}"
        with pytest.raises(ConfigError, match=at) as refusal:
            async with open_transport(f"redis://:wrong-password@{at}", CLOCK):
                pass
        assert "wrong-password" not in str(refusal.value)
        async with open_transport(f"redis://:right-password@{at}", CLOCK) as transport:
            await transport.publish("t", [make_event(1)])


async def test_an_old_redis_is_refused_by_name() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100_000)
        info = b"# Server\r\nredis_version:6.2.5\r\nredis_mode:standalone\r\n"
        writer.write(b"+OK\r\n" * 12 + b":3\r\n$%d\r\n%b\r\n" % (len(info), info))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConfigError, match=r"6\.2\.5.*7\.0"):
            async with open_transport(f"redis://127.0.0.1:{port}", CLOCK):
                pass


async def test_it_works_on_redis_7_as_well() -> None:
    prefix = f"t{secrets.token_hex(6)}:"
    async with open_transport(f"{real('redis')}?prefix={prefix}", CLOCK) as transport:
        await transport.create_topic("t", partitions=1)
        async with leased(transport, "t"):
            await transport.advance(Advance("g", PARTITION, 3, (5,), emits(1)))
            assert await transport.advanced("g", PARTITION) == Progress(next=3, ahead=(5,))
    with Redis.from_url(real("redis")) as redis:
        for key in redis.scan_iter(f"{prefix}*", count=10_000):
            redis.unlink(key)
