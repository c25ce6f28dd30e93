import asyncio

import pytest

from motet.core.clock import SystemClock
from motet.core.errors import BacklogFull, ConfigError, Unavailable
from motet.core.event import Partition
from motet.core.outcome import Commit
from motet.server import Limits
from motet.server.backlog import Backlog
from motet.server.gate import Gate
from motet.testing import make_events

EVENT = {"eventType": "order.created"}


def batch(count: int) -> list[dict[str, str]]:
    return [EVENT] * count


async def test_a_body_over_the_limit_is_413(make) -> None:
    site = await make(limits=Limits(body_bytes=1000))

    answer = await site.post(b"x" * 1001)

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert await site.store.dead_letters.list() == []


async def test_more_items_than_may_come_at_once_are_413(make) -> None:
    site = await make(limits=Limits(events_per_request=10))

    assert (await site.post(batch(10))).status_code == 202
    assert (await site.post(batch(11))).status_code == 413
    assert len(await site.logged()) == 10


async def test_more_lines_than_may_come_at_once_are_413(make) -> None:
    site = await make(limits=Limits(events_per_request=10))
    line = b'{"eventType":"a"}\n'

    ten = await site.post(line * 10, content_type="application/x-ndjson")
    eleven = await site.post(line * 11, content_type="application/x-ndjson")

    assert (ten.status_code, eleven.status_code) == (202, 413)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[" + b"{}," * 50_000 + b"{}]", 413), (b"[" + b"1," * 50_000 + b"1]", 422)],
)
async def test_a_body_of_countless_small_items_is_refused_in_one_go(site, body, status) -> None:
    answer = await site.post(body)

    assert answer.status_code == status
    assert len(answer.content) < 1000
    assert len(await site.store.dead_letters.list()) <= 1


async def test_events_with_many_members_are_not_taken_for_many_items(make) -> None:
    site = await make(limits=Limits(events_per_request=10))
    wide = EVENT | {"payload": {f"m{n}": n for n in range(100)}}

    assert (await site.post([wide] * 10)).status_code == 202


async def test_a_full_queue_is_429_with_a_time_to_wait_and_nothing_is_appended(make) -> None:
    limits = Limits(in_flight_events=10, events_per_request=10, retry_after_s=1.5)
    site = await make(limits=limits)
    site.transport.go.clear()
    async with asyncio.TaskGroup() as tasks:
        taken = tasks.create_task(site.post(batch(8)))
        while not site.transport.waiting:
            await SystemClock().sleep(0)

        refused = await site.post(batch(3))
        also_taken = tasks.create_task(site.post(batch(2)))
        while site.transport.waiting < 2:
            await SystemClock().sleep(0)
        site.transport.go.set()

    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "2"
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:motet:problem:queue-full"
    assert (taken.result().status_code, also_taken.result().status_code) == (202, 202)
    assert len(await site.logged()) == 10


async def test_after_a_full_queue_there_is_room_again(make) -> None:
    site = await make(limits=Limits(in_flight_events=5, events_per_request=5))

    statuses = [(await site.post(batch(5))).status_code for _ in range(5)]

    assert statuses == [202] * 5


async def test_a_failed_append_gives_its_room_back(make) -> None:
    site = await make(limits=Limits(in_flight_events=5, events_per_request=5))
    site.transport.error = Unavailable("the disk is full")

    statuses = [(await site.post(batch(5))).status_code for _ in range(3)]
    site.transport.error = None

    assert statuses == [503] * 3
    assert (await site.post(batch(5))).status_code == 202


async def test_bodies_under_way_are_bounded_in_bytes(make) -> None:
    limits = Limits(body_bytes=1000, in_flight_bytes=1000)
    site = await make(limits=limits)
    site.transport.go.clear()
    async with asyncio.TaskGroup() as tasks:
        taken = tasks.create_task(site.post(EVENT | {"payload": "x" * 800}))
        while not site.transport.waiting:
            await SystemClock().sleep(0)
        refused = await site.post(EVENT | {"payload": "x" * 800})
        site.transport.go.set()

    assert (taken.result().status_code, refused.status_code) == (202, 429)
    assert len(await site.logged()) == 1


async def test_a_backlog_of_the_slowest_group_is_429_until_it_is_worked_off(make) -> None:
    limits = Limits(backlog_events=20, events_per_request=10)
    site = await make(limits=limits, readers={"events": ["slow"]})
    events = [EVENT | {"payload": {"sessionId": "s"}}] * 10
    statuses = [(await site.post(events)).status_code for _ in range(3)]
    (partition,) = {
        Partition("events", index)
        for info in await site.transport.topics()
        for index, end in enumerate(info.ends)
        if end
    }

    await site.store.commit(Commit("slow", partition, version=0, next=20))
    async with asyncio.timeout(10):
        while (answer := await site.post(events)).status_code == 429:
            await SystemClock().sleep(0.02)

    assert statuses == [202, 202, 429]
    assert answer.status_code == 202
    assert len(await site.logged()) == 30


async def test_a_topic_that_nobody_reads_has_no_backlog(make) -> None:
    site = await make()
    await site.post(batch(10))
    backlog = Backlog(site.transport, site.store, SystemClock(), readers={})

    await backlog.refresh()

    assert backlog.knows("events")
    assert backlog.of("events") == 0


async def test_a_request_makes_no_topic_beyond_the_limit(make) -> None:
    site = await make(limits=Limits(topics=2))

    statuses = [
        (await site.post(EVENT, f"/v1/topics/{name}/events")).status_code
        for name in ("a", "b", "c", "b")
    ]

    assert statuses == [202, 202, 422, 202]
    assert [info.name for info in await site.transport.topics()] == ["a", "b"]


async def test_a_body_that_does_not_come_is_408(make) -> None:
    site = await make(limits=Limits(body_s=0.01))

    async def never():
        yield b'{"eventType"'
        await asyncio.Event().wait()

    answer = await site.client.post(
        "/v1/events", content=never(), headers={"content-type": "application/json"}
    )

    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"


async def test_a_look_at_the_backlog_that_fails_keeps_the_last_estimate(make, caplog) -> None:
    site = await make()
    backlog = Backlog(site.transport, site.store, SystemClock(), readers={})
    backlog.appended("events", 7)
    site.transport.error = Unavailable("locked")

    await backlog.refresh()

    assert backlog.of("events") == 7
    assert [record.error for record in caplog.records] == ["locked"]


async def test_what_is_appended_between_two_looks_is_counted(make) -> None:
    site = await make()
    readers = {"events": ["g"]}
    await site.transport.publish("events", make_events(5))
    backlog = Backlog(site.transport, site.store, SystemClock(), readers=readers)
    await backlog.refresh()
    gate = Gate(Limits(backlog_events=10, events_per_request=10), backlog)

    with gate.visit() as visit:
        visit.admit("events", 4)
    with gate.visit() as visit, pytest.raises(BacklogFull):
        visit.admit("events", 2)

    assert backlog.of("events") == 9
    assert gate.events == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"body_bytes": 0},
        {"retry_after_s": -1.0},
        {"events_per_request": 11, "in_flight_events": 10},
        {"events_per_request": 11, "backlog_events": 10},
        {"body_bytes": 11, "in_flight_bytes": 10},
    ],
)
def test_limits_that_cannot_be_met_are_refused(settings) -> None:
    with pytest.raises(ConfigError, match="Limits"):
        Limits(**settings)
