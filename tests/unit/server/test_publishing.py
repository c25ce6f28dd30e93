import json

import msgspec
import pytest

from motet.telemetry.families import DEAD, RECEIVED

EVENT = {"eventType": "order.created", "payload": {"sessionId": "s1", "total": 19.90}}


async def test_an_event_is_in_the_log_when_the_answer_comes(site) -> None:
    answer = await site.post(EVENT)

    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    (event,) = await site.logged()
    assert answer.json() == {
        "topic": "events",
        "accepted": 1,
        "duplicates": 0,
        "ids": [event.id],
    }
    assert event.key == "s1"


async def test_ids_come_back_in_the_order_of_the_request(site) -> None:
    events = [EVENT | {"eventId": f"e{number}"} for number in (3, 1, 2)]

    answer = await site.post(events)

    assert answer.json()["ids"] == ["e3", "e1", "e2"]
    assert answer.json()["accepted"] == 3


async def test_an_event_sent_again_is_a_duplicate_and_not_appended(site) -> None:
    event = EVENT | {"eventId": "e1"}
    await site.post(event)

    answer = await site.post([event, EVENT | {"eventId": "e2"}, EVENT | {"eventId": "e2"}])

    assert answer.status_code == 202
    assert answer.json()["duplicates"] == 2
    assert answer.json()["ids"] == ["e1", "e2", "e2"]
    assert sorted(event.id for event in await site.logged()) == ["e1", "e2"]


async def test_json_lines_are_taken_line_by_line(site) -> None:
    body = b"\n".join(msgspec.json.encode(EVENT | {"eventId": f"e{n}"}) for n in range(3)) + b"\n"

    answer = await site.post(body, content_type="application/x-ndjson")

    assert answer.json()["ids"] == ["e0", "e1", "e2"]


async def test_a_cloud_event_is_taken_in_structured_mode(site) -> None:
    event = {"specversion": "1.0", "id": "c1", "source": "/s", "type": "t", "data": {"a": 1}}

    answer = await site.post(event, content_type="application/cloudevents+json")

    assert answer.json()["ids"] == ["c1"]


async def test_cloud_events_are_taken_in_a_batch(site) -> None:
    batch = [{"specversion": "1.0", "id": f"c{n}", "source": "/s", "type": "t"} for n in range(2)]

    answer = await site.post(batch, content_type="application/cloudevents-batch+json")

    assert answer.json()["ids"] == ["c0", "c1"]


async def test_a_cloud_event_is_taken_in_binary_mode(site) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "c1", "ce-source": "/s", "ce-type": "t"}

    answer = await site.post({"a": 1}, headers=headers)

    assert answer.json()["ids"] == ["c1"]
    (event,) = await site.logged()
    assert json.loads(bytes(event.data)) == {"a": 1}


@pytest.mark.parametrize("path", ["/v1/events?topic=orders", "/v1/topics/orders/events"])
async def test_the_topic_is_in_the_query_or_the_path(site, path: str) -> None:
    answer = await site.post(EVENT, path)

    assert answer.json()["topic"] == "orders"
    assert len(await site.logged("orders")) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/v1/events?topic=",
        "/v1/events?topic=a&topic=b",
        "/v1/events?topik=a",
        "/v1/events?topic=a%00b",
        "/v1/events?topic=../etc",
        "/v1/topics/%C3%A9/events",
        "/v1/topics/" + "x" * 250 + "/events",
        "/v1/events?" + "&".join(f"a{n}=1" for n in range(100)),
    ],
)
async def test_a_topic_that_is_none_is_refused(site, path: str) -> None:
    answer = await site.post(EVENT, path)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "?topic"
    assert await site.transport.topics() == []


async def test_a_batch_with_one_bad_item_is_refused_as_a_whole(site) -> None:
    answer = await site.post([EVENT, EVENT | {"eventType": 7}, EVENT, {"payload": 1}])

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 422
    assert problem["type"] == "urn:motet:problem:refused-events"
    assert [(item["index"], item["field"]) for item in problem["errors"]] == [
        (1, "$.eventType"),
        (3, "$.eventType"),
    ]
    assert all(item["detail"] for item in problem["errors"])
    assert await site.logged() == []


async def test_what_was_refused_is_among_the_dead_letters_with_its_bytes(site) -> None:
    bad = b'{"eventType": 7,  "payload": {"a": 1.50}}'

    await site.post(b"[" + msgspec.json.encode(EVENT) + b"," + bad + b"]")

    (stored,) = await site.store.dead_letters.list()
    assert stored.letter.value == bad
    assert (stored.letter.topic, stored.letter.group) == ("events", "")
    assert stored.letter.error.code == "CodecError"
    assert "$.eventType" in stored.letter.error.message
    assert site.metrics.value(DEAD, ("CodecError",)) == 1


@pytest.mark.parametrize(
    "body",
    [b"{", b"nonsense", b'{"eventType":"a"} x', b"\xff\xfe", b'{"eventType":"a"'],
)
async def test_what_is_no_json_is_refused_with_the_place(site, body: bytes) -> None:
    answer = await site.post(body)

    assert answer.status_code == 400
    (item,) = answer.json()["errors"]
    assert item["field"].startswith("byte ")
    assert [letter.letter.value for letter in await site.store.dead_letters.list()] == [body]


@pytest.mark.parametrize(
    "body",
    [
        b'{"eventType":"a","eventType":"b"}',
        b'{"eventType":"a\\ud800"}',
        b'{"eventType":"a","payload":' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"eventType":"a","payload":"' + b"x" * 2_000_000 + b'"}',
        b'{"eventType":"' + b"x" * 1000 + b'"}',
        b'{"eventType":"a","timestamp":"yesterday"}',
        b'{"eventType":"a","timestamp":"' + b"9" * 500_000 + b'"}',
        b'{"eventType":"a","payload":NaN}',
        b'{"eventType":"a","payload":{"' + b"x" * 50_000 + b'":{"a":1,"a":2}}}',
        b"3",
        b'"text"',
        b"null",
        b"[[]]",
    ],
)
async def test_hostile_json_is_refused_in_few_words(site, body: bytes) -> None:
    answer = await site.post(body)

    assert answer.status_code in (400, 422)
    assert len(answer.json()["errors"]) == 1
    assert len(answer.content) < 3_000
    assert await site.logged() == []


async def test_an_empty_body_is_refused_and_leaves_no_dead_letter(site) -> None:
    answer = await site.post(b"")

    assert answer.status_code == 400
    assert await site.store.dead_letters.list() == []


async def test_no_events_at_all_are_taken_without_complaint(site) -> None:
    answer = await site.post([])

    assert (answer.status_code, answer.json()["ids"]) == (202, [])
    assert await site.transport.topics() == []


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/x-www-form-urlencoded", "%%%", "application/"],
)
async def test_another_content_type_is_415_and_not_a_dead_letter(site, content_type: str) -> None:
    answer = await site.post(EVENT, content_type=content_type)

    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert await site.store.dead_letters.list() == []


async def test_another_charset_is_415(site) -> None:
    answer = await site.post(EVENT, content_type="application/json; charset=utf-16")

    assert answer.status_code == 415


async def test_a_compressed_body_is_415(site) -> None:
    answer = await site.post(EVENT, headers={"content-encoding": "gzip"})

    assert answer.status_code == 415


async def test_received_events_are_counted_by_topic_and_type(site) -> None:
    await site.post([EVENT, EVENT, EVENT | {"eventType": "order.cancelled"}])
    await site.post([{"payload": 1}])

    assert site.metrics.value(RECEIVED, ("events", "order.created")) == 2
    assert site.metrics.value(RECEIVED, ("events", "order.cancelled")) == 1


async def test_a_long_body_is_read_as_a_short_one_is(site) -> None:
    events = [EVENT | {"eventId": f"e{n}", "payload": "x" * 1000} for n in range(1000)]

    answer = await site.post(events)

    assert answer.json()["ids"] == [f"e{n}" for n in range(1000)]
    assert len(await site.logged()) == 1000


async def test_a_long_body_with_a_bad_item_names_it(site) -> None:
    events = [EVENT | {"payload": "x" * 1000} for n in range(1000)]

    answer = await site.post([*events, {"eventType": ""}])

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["index"] == 1000
