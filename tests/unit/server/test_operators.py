import base64

import msgspec
import pytest

from motet.core.event import Partition
from motet.core.outcome import Commit, DeadLetter, ErrorInfo
from motet.testing import make_event, make_events


def letter(number: int = 0, *, value: bytes = b'{"eventType":"a"}', code: str = "E") -> DeadLetter:
    return DeadLetter(
        topic="orders",
        partition=-1,
        offset=-1,
        group="",
        key=f"k{number}",
        event_type="a",
        value=value,
        error=ErrorInfo(code, "no", stack="Traceback ..."),
        attempts=5,
        first_failed_us=1_767_225_600_000_000,
    )


async def test_topics_are_listed(site) -> None:
    await site.transport.create_topic("orders", partitions=2, retention_s=60.0)
    await site.transport.publish("orders", make_events(3))

    (topic,) = (await site.client.get("/v1/topics")).json()["topics"]

    assert (topic["name"], topic["partitions"], topic["retention_s"]) == ("orders", 2, 60.0)
    assert (topic["events"], sum(topic["ends"])) == (3, 3)


async def test_events_of_a_partition_are_read_page_by_page(site) -> None:
    await site.transport.create_topic("orders", partitions=1)
    await site.transport.publish("orders", make_events(5))
    seen, offset = [], 0
    for _ in range(3):
        page = (await site.client.get(f"/v1/topics/orders/events?offset={offset}&limit=2")).json()
        seen += [(record["offset"], record["event"]["payload"]) for record in page["records"]]
        offset = page["next"]

    assert seen == [(n, n) for n in range(5)]
    assert offset == 5


async def test_a_page_of_large_events_ends_early_and_can_be_gone_on_from(site) -> None:
    await site.transport.create_topic("orders", partitions=1)
    large = [make_event(n, data="x" * 3_000_000) for n in range(4)]
    await site.transport.publish("orders", large)

    page = (await site.client.get("/v1/topics/orders/events")).json()
    rest = (await site.client.get(f"/v1/topics/orders/events?offset={page['next']}")).json()

    assert [record["offset"] for record in page["records"]] == [0, 1]
    assert [record["offset"] for record in rest["records"]] == [2, 3]


async def test_events_look_as_the_article_writes_them(site) -> None:
    await site.post(b'{"eventType": "t", "eventId": "e", "payload": {"n": 1.50}, "other": 2}')

    pages = [
        (await site.client.get(f"/v1/topics/events/events?partition={index}")).content
        for index in range(8)
    ]

    (page,) = [page for page in pages if b"eventId" in page]
    assert b'"eventId":"e"' in page
    assert b'"payload":{"n":1.50}' in page  # as it was written
    assert b'"metadata":{"other":2}' in page


@pytest.mark.parametrize("path", ["/v1/topics/none/events", "/v1/topics/orders/events?partition=8"])
async def test_a_place_that_is_not_there_is_404(site, path: str) -> None:
    await site.transport.publish("orders", make_events(1))

    answer = await site.client.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("partition=-1", "?partition"),
        ("offset=x", "?offset"),
        ("limit=0", "?limit"),
        ("limit=1001", "?limit"),
        ("offset=1&offset=2", "?offset"),
        ("offset=99999999999999999999", "?offset"),
        ("ofset=1", "?"),
    ],
)
async def test_a_wrong_parameter_is_named(site, query: str, field: str) -> None:
    answer = await site.client.get(f"/v1/topics/orders/events?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_groups_are_listed_with_their_lag(make) -> None:
    site = await make(readers={"orders": ["fraud", "new"]})
    await site.transport.create_topic("orders", partitions=2)
    await site.transport.publish("orders", make_events(10, keys=1))
    (full,) = [n for n, end in enumerate((await site.transport.topics())[0].ends) if end]
    await site.store.commit(Commit("fraud", Partition("orders", full), version=0, next=7))

    groups = (await site.client.get("/v1/groups")).json()["groups"]

    assert [(group["group"], group["lag"]) for group in groups] == [("fraud", 3), ("new", 10)]
    place = groups[0]["partitions"][full]
    assert (place["topic"], place["next"], place["end"], place["lag"]) == ("orders", 7, 10, 3)


async def test_dead_letters_are_listed_page_by_page_and_by_condition(site) -> None:
    await site.store.dead_letters.add([letter(n, code="E" if n % 2 else "F") for n in range(5)])

    first = (await site.client.get("/v1/dead-letters?limit=3")).json()
    rest = (await site.client.get(f"/v1/dead-letters?after={first['next']}")).json()
    chosen = (await site.client.get("/v1/dead-letters?code=E&status=NEW&topic=orders")).json()

    assert [row["key"] for row in first["dead_letters"]] == ["k0", "k1", "k2"]
    assert [row["key"] for row in rest["dead_letters"]] == ["k3", "k4"]
    assert rest["next"] is None
    assert [row["key"] for row in chosen["dead_letters"]] == ["k1", "k3"]


async def test_a_dead_letter_has_the_columns_of_the_article(site) -> None:
    await site.store.dead_letters.add([letter()])

    (listed,) = (await site.client.get("/v1/dead-letters")).json()["dead_letters"]
    shown = (await site.client.get(f"/v1/dead-letters/{listed['id']}")).json()

    assert {
        "id",
        "dlq_id",
        "original_event",
        "error_info",
        "retry_count",
        "created_at",
        "status",
        "reviewed_by",
        "reviewed_at",
        "resolution_notes",
    } <= shown.keys()
    assert shown["original_event"] == {"eventType": "a"}
    assert shown["error_info"]["stack"] == "Traceback ..."
    assert shown["retry_count"] == 4
    assert shown["first_failed_at"] == "2026-01-01T00:00:00.000000Z"
    assert "original_event" not in listed
    assert "stack" not in listed["error_info"]
    assert shown["event_type"] == listed["event_type"] == "a"


async def test_secrets_in_the_error_of_a_dead_letter_are_not_shown(site) -> None:
    said = "no answer from postgres://ann:ge/h@eim@db/x"
    failed = msgspec.structs.replace(letter(), error=ErrorInfo("E", said, stack=f"...\n{said}"))
    await site.store.dead_letters.add([failed])

    (listed,) = (await site.client.get("/v1/dead-letters")).json()["dead_letters"]
    shown = (await site.client.get(f"/v1/dead-letters/{listed['id']}")).json()

    hidden = "no answer from postgres://ann:***@db/x"
    assert listed["error_info"]["message"] == hidden
    assert shown["error_info"] == {**listed["error_info"], "stack": f"...\n{hidden}"}


@pytest.mark.parametrize("value", [b"\xff\x00", b"{", b"", b"NaN", b"[" * 5000])
async def test_bytes_that_are_no_json_come_back_intact(site, value: bytes) -> None:
    await site.store.dead_letters.add([letter(value=value)])

    shown = (await site.client.get("/v1/dead-letters/1")).json()

    assert base64.b64decode(shown["original_event"]["base64"]) == value


@pytest.mark.parametrize("id", ["2", "0", "-1", "x", "9" * 5000, "1.5", "%00", "redrive"])
async def test_a_dead_letter_that_is_not_there_is_404(site, id: str) -> None:
    await site.store.dead_letters.add([letter()])

    assert (await site.client.get(f"/v1/dead-letters/{id}")).status_code == 404


async def test_dead_letters_are_handed_back_to_the_group_that_failed(site) -> None:
    await site.transport.create_topic("orders", partitions=1)
    event = make_event(1)
    failed = DeadLetter("orders", 0, 0, "fraud", "k", event.type, b"", ErrorInfo("E", "no"))
    whole = msgspec.structs.replace(failed, value=msgspec.json.encode(event))
    await site.store.dead_letters.add([whole, letter()])

    answer = await site.post({"ids": [1, 2, 99], "by": "ops"}, "/v1/dead-letters/redrive")

    assert answer.json() == {"redriven": 1}
    shown = (await site.client.get("/v1/dead-letters/1")).json()
    assert (shown["status"], shown["reviewed_by"]) == ("RETRIED", "ops")


async def test_dead_letters_are_archived_with_a_reason(site) -> None:
    await site.store.dead_letters.add([letter(), letter()])

    answer = await site.post(
        {"ids": [1], "by": "ops", "notes": "a test"}, "/v1/dead-letters/archive"
    )

    assert answer.json() == {"archived": 1}
    shown = (await site.client.get("/v1/dead-letters/1")).json()
    assert (shown["status"], shown["resolution_notes"]) == ("ARCHIVED", "a test")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, None),
        (b"\xff", 400, None),
        (b"[" * 100_000, 422, "$"),
        (b"[]", 422, "$"),
        (b"{}", 422, "$"),
        (b'{"ids":[]}', 422, "$.ids"),
        (b'{"ids":[1,"x"]}', 422, "$.ids[1]"),
        (b'{"ids":[99999999999999999999]}', 422, "$.ids[0]"),
        (b'{"ids":[1],"all":true}', 422, "$"),
        (b'{"ids":[' + b"1," * 2000 + b"1]}", 422, "$.ids"),
        (b'{"ids":"' + b"x" * 1_100_000 + b'"}', 413, None),
    ],
)
async def test_a_wrong_order_changes_nothing_and_says_why(site, body, status, field) -> None:
    await site.store.dead_letters.add([letter()])

    answer = await site.post(body, "/v1/dead-letters/archive")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert [item["field"] for item in answer.json().get("errors", [])] == ([field] if field else [])
    assert [stored.status.value for stored in await site.store.dead_letters.list()] == ["NEW"]


async def test_an_order_from_a_form_is_415(site) -> None:
    # A page on another site could have a browser post a form here, but not JSON.
    answer = await site.post(b'{"ids":[1]}', "/v1/dead-letters/archive", content_type="text/plain")

    assert answer.status_code == 415
