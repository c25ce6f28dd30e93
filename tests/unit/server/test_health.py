import asyncio

import pytest

from motet.core.errors import Unavailable
from motet.core.event import Partition
from motet.core.outcome import Commit
from motet.testing import make_events


async def test_a_process_that_answers_lives(site) -> None:
    site.transport.error = Unavailable("the disk is gone")

    answer = await site.client.get("/healthz")

    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_head_is_answered_as_get_is(site) -> None:
    assert (await site.client.head("/healthz")).status_code == 200


async def test_ready_is_when_every_check_is(make) -> None:
    async def workers() -> str:
        return ""

    site = await make(checks={"workers": workers})

    answer = await site.client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": ["log", "store", "workers"]}


async def test_what_is_not_ready_is_named_with_its_reason(make) -> None:
    async def workers() -> str:
        return "group fraud has stopped"

    site = await make(checks={"workers": workers})
    site.transport.error = Unavailable("the disk is gone")

    answer = await site.client.get("/readyz")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(item["field"], item["detail"]) for item in answer.json()["errors"]] == [
        ("log", "the disk is gone"),
        ("workers", "group fraud has stopped"),
    ]


async def test_a_check_that_hangs_is_not_ready(make, monkeypatch) -> None:
    async def workers() -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr("motet.server.health._PATIENCE_S", 0.01)
    site = await make(checks={"workers": workers})

    answer = await site.client.get("/readyz")

    assert answer.status_code == 503
    assert [item["field"] for item in answer.json()["errors"]] == ["workers"]


async def test_a_scrape_shows_lag_and_depth_as_they_are_now(make) -> None:
    site = await make(readers={"orders": ["fraud"]})
    await site.transport.create_topic("orders", partitions=1)
    await site.transport.publish("orders", make_events(10))
    await site.store.commit(Commit("fraud", Partition("orders", 0), version=0, next=4))

    answer = await site.client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    assert 'agent_queue_depth{queue_name="orders"} 6.0' in lines
    assert (
        'agent_queue_consumer_lag{consumer_group="fraud",partition="0",topic="orders"} 6.0' in lines
    )


async def test_a_scrape_works_while_the_log_does_not(site) -> None:
    await site.post({"eventType": "a"})
    site.transport.error = Unavailable("locked")

    answer = await site.client.get("/metrics")

    assert answer.status_code == 200
    assert 'agent_events_received_total{event_type="a",topic="events"} 1.0' in answer.text


async def test_every_link_of_the_front_page_leads_somewhere(site) -> None:
    index = (await site.client.get("/")).json()

    for path in index["links"].values():
        assert (await site.client.get(path)).status_code in (200, 405), path


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/events/", 404),
        ("GET", "/v1/topics//events", 404),
        ("GET", "/v1/events", 405),
        ("DELETE", "/v1/topics/orders/events", 405),
        ("PUT", "/healthz", 405),
        ("BREW", "/v1/events", 405),
    ],
)
async def test_what_is_not_offered_is_a_problem_too(site, method, path, status) -> None:
    answer = await site.client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


async def test_a_wrong_method_is_told_every_right_one(site) -> None:
    answer = await site.client.delete("/v1/topics/orders/events")

    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


async def test_a_log_that_cannot_be_written_is_503_with_a_time_to_wait(site) -> None:
    site.transport.error = Unavailable("the disk is full")

    answer = await site.post({"eventType": "a"})

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "the disk is full" in answer.json()["detail"]


async def test_a_defect_of_ours_shows_no_traceback(site) -> None:
    site.transport.error = ValueError("secret inner state")

    answer = await site.post({"eventType": "a"})

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
