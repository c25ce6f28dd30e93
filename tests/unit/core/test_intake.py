import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core import cloudevents, codec
from motet.core.clock import format_time
from motet.core.envelope import WIRE, Limits
from motet.core.errors import CodecError
from motet.core.event import ABSENT, NULL, Event
from motet.core.ids import IdSource, valid_uuid
from motet.core.intake import Intake
from tests.unit.core.strategies import (
    ARTICLE,
    attempt,
    events,
    meaning,
    mutated,
    names,
    objects,
    spelled,
    values,
)

NOW_US = 1_779_704_130_000_000
NOW = "2026-05-25T10:15:30.000000Z"
BASE = {"eventId": "1", "eventType": "order.created", "timestamp": NOW}
CLOUD = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.created"}


class StoppedClock:
    """Always the same instant."""

    def now_us(self) -> int:
        return NOW_US

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, delay_s: float) -> None:
        return None

    def random(self) -> float:
        return 0.0


def make(limits: Limits | None = None) -> Intake:
    clock = StoppedClock()
    return Intake(clock, ids=IdSource(clock, entropy=b"test"), limits=limits)


intake = make()


def article(**members: object) -> bytes:
    return json.dumps({**BASE, **members}).encode()


def refusal(value: bytes, read: Callable[[bytes], Event] = intake.event) -> CodecError:
    with pytest.raises(CodecError) as caught:
        read(value)
    assert caught.value.value == value
    return caught.value


# What is let in


def test_the_articles_event_is_read_as_it_stands() -> None:
    event = intake.event(ARTICLE)

    assert event.id == "550e8400-e29b-41d4-a716-446655440000"
    assert event.type == "agent.tool.invoked"
    assert event.time == "2026-05-25T10:15:30Z"
    assert event.schema_version == 2
    assert event.schema == "https://api.example.com/schemas/agent-tool-invoked/v2"
    assert event.key == "sess_abc123"
    assert bytes(event.data) == ARTICLE[ARTICLE.index(b'{"agentId"') : -1]
    assert event.metadata is ABSENT


@given(events(), st.data())
def test_what_the_codec_wrote_is_let_in_unchanged(event: Event, data: st.DataObject) -> None:
    value = codec.encode(event)

    assert intake.event(value) == event
    assert meaning(intake.event(spelled(json.loads(value), data.draw))) == meaning(event)


@given(st.dictionaries(st.sampled_from(sorted(WIRE.values())), values), values, names)
def test_what_is_let_in_survives_the_codec(
    members: dict[str, object], payload: object, event_type: str
) -> None:
    value = json.dumps({**members, "eventType": event_type, "payload": payload}).encode()
    found = attempt(intake.event, value)

    if isinstance(found, CodecError):
        assert found.where
    else:
        assert codec.decode(codec.encode(found)) == found
        assert intake.event(codec.encode(found)) == found


@pytest.mark.parametrize("valid", [ARTICLE, article(metadata={"a": 1}), json.dumps(CLOUD).encode()])
@given(st.data())
def test_damaged_bytes_give_an_event_or_a_codec_error(valid: bytes, data: st.DataObject) -> None:
    value = data.draw(mutated(valid))

    found = attempt(intake.event, value)

    if isinstance(found, CodecError):
        assert found.value == value
        assert str(found)
        assert found.where
    else:
        assert codec.decode(codec.encode(found)) == found
        assert meaning(intake.event(codec.encode(found))) == meaning(found)


@given(st.data())
def test_damaged_requests_give_events_and_refusals(data: st.DataObject) -> None:
    body = data.draw(mutated(b"[" + ARTICLE + b"," + ARTICLE + b"]") | st.binary())
    content_type = data.draw(
        st.sampled_from(
            ["", "application/json", "application/x-ndjson", "application/cloudevents-batch+json"]
        )
        | st.text(max_size=10)
    )

    taken = intake.request({"Content-Type": content_type}, body)

    for refused in taken.refusals:
        assert refused.error.value in body
    for event in taken.events:
        assert codec.decode(codec.encode(event)) == event


def test_what_is_missing_is_filled_in() -> None:
    event = intake.event(b'{"eventType":"order.created"}')

    assert valid_uuid(event.id)
    assert event.time == NOW == format_time(NOW_US)
    assert event.key == event.id
    assert event.schema_version == 1
    assert event.data is NULL or bytes(event.data) == b"null"


def test_null_is_the_same_as_missing() -> None:
    empty = dict.fromkeys(WIRE.values())

    event = intake.event(json.dumps({**empty, "eventType": "order.created"}).encode())

    assert valid_uuid(event.id)
    assert (event.time, event.source, event.schema_version) == (NOW, "", 1)
    assert (event.metadata, event.references) == (ABSENT, ABSENT)


@pytest.mark.parametrize(
    ("members", "key"),
    [
        ({}, "1"),
        ({"key": "k", "payload": {"sessionId": "s"}}, "k"),
        ({"key": "", "payload": {"sessionId": "s"}}, "s"),
        ({"payload": {"sessionId": "s"}}, "s"),
        ({"payload": {"sessionId": ""}}, "1"),
        ({"payload": {"sessionId": 7}}, "1"),
        ({"payload": ["sessionId"]}, "1"),
    ],
)
def test_the_key_is_given_or_the_session_or_the_id(members: dict[str, object], key: str) -> None:
    assert intake.event(article(**members)).key == key


@pytest.mark.parametrize(
    ("given_time", "kept"),
    [
        ("2026-05-25T10:15:30Z", "2026-05-25T10:15:30Z"),
        ("2026-05-25T10:15:30.123456789Z", "2026-05-25T10:15:30.123456789Z"),
        ("2026-05-25T12:15:30+02:00", NOW),
        ("2026-05-25 10:15:30Z", NOW),
        ("2026-05-25t10:15:30z", NOW),
    ],
)
def test_times_are_kept_if_in_utc_and_brought_there_if_not(given_time: str, kept: str) -> None:
    assert intake.event(article(timestamp=given_time)).time == kept


def test_the_trace_context_stays_as_it_is() -> None:
    context = {"traceContext": {"traceId": "0af7", "spanId": "b7ad", "traceFlags": 1}}

    assert json.loads(bytes(intake.event(article(metadata=context)).metadata)) == context


def test_members_the_envelope_does_not_know_move_into_metadata() -> None:
    value = article(tenant="acme", retries=1.50, metadata={"region": "eu"})

    event = intake.event(value.replace(b"1.5", b"1.50"))

    assert bytes(event.metadata) == b'{"region": "eu","tenant":"acme","retries":1.50}'.replace(
        b": ", b":"
    )
    assert intake.event(codec.encode(event)) == event


@given(objects, objects)
def test_none_of_them_is_lost(unknown: dict[str, object], metadata: dict[str, object]) -> None:
    unknown = {f"x-{name}": value for name, value in unknown.items()}

    event = intake.event(article(**unknown, metadata=metadata))

    assert json.loads(bytes(event.metadata)) == {**metadata, **unknown}


def test_a_member_that_metadata_has_too_is_no_conflict_if_it_is_the_same() -> None:
    event = intake.event(article(tenant="acme", metadata={"tenant": "acme"}))

    assert bytes(event.metadata) == b'{"tenant":"acme"}'


def test_a_member_that_metadata_has_with_another_value_is_refused() -> None:
    error = refusal(article(tenant="acme", metadata={"tenant": "other"}))

    assert error.where == "$.tenant"


# What is refused


@pytest.mark.parametrize(
    ("value", "where", "message"),
    [
        (b"", "byte 0", "there is nothing"),
        (b"null", "$", "not null"),
        (b"true", "$", "not true"),
        (b"17", "$", "not a number"),
        (b'"eventType"', "$", "not a string"),
        (ARTICLE[:-1], f"byte {len(ARTICLE) - 1}", "ends too early"),
        (b"\xef\xbb\xbf" + ARTICLE, "byte 0", "byte order mark"),
        (b"{}", "$.eventType", "required"),
        (article(eventType=""), "$.eventType", "required"),
        (article(eventType="  "), "$.eventType", "empty"),
        (article(eventType=5), "$.eventType", "expected `str"),
        (article(eventType=["a"]), "$.eventType", "expected `str"),
        (article(eventId=""), "$.eventId", "empty"),
        (article(eventId=5), "$.eventId", "expected `str"),
        (article(eventId="x" * 256), "$.eventId", "256 characters; at most 255"),
        (article(eventType="x" * 256), "$.eventType", "256 characters"),
        (article(key="x" * 256), "$.key", "256 characters"),
        (article(key={}), "$.key", "expected `str"),
        (article(payload={"sessionId": "x" * 256}), "$.payload.sessionId", "256 characters"),
        (article(payload={"sessionId": "a\nb"}), "$.payload.sessionId", "control"),
        (article(source="x" * 2049), "$.source", "2049 characters"),
        (article(correlationId="x" * 256), "$.correlationId", "256 characters"),
        (article(eventId="a\x00b"), "$.eventId", r"U\+0000"),
        (article(eventType="a\x85b"), "$.eventType", r"U\+0085"),
        (article(timestamp="yesterday"), "$.timestamp", "RFC 3339"),
        (article(timestamp="2026-02-30T00:00:00Z"), "$.timestamp", "day is out of range"),
        (article(timestamp=1779704130), "$.timestamp", "expected `str"),
        (article(version=0), "$.version", "from 1"),
        (article(version=-1), "$.version", "from 1"),
        (article(version=2**31), "$.version", "from 1"),
        (article(version=10**30), "$.version", "from 1"),
        (article(version="2"), "$.version", "expected `int"),
        (article(version=True), "$.version", "expected `int"),
        (article(version=1.5), "$.version", "expected `int"),
        (article(metadata=[]), "$.metadata", "found an array"),
        (article(metadata="{}"), "$.metadata", "found a string"),
        (article(references=0), "$.references", "found a number"),
        (article(payload={"a": [1, {"b": float("nan")}]}), "$.payload.a[1].b", "NaN"),
        (article(payload={"x": float("-inf")}), "$.payload.x", "Infinity"),
        (article().replace(b"}", b',"payload":{"a":1e999}}'), "$.payload.a", "does not fit"),
        (article().replace(b"}", b',"payload":{"a":1,"a":2}}'), "$.payload.a", "twice"),
        (article().replace(b"}", b',"eventId":"2"}'), "$.eventId", "twice"),
        (article().replace(b"}", b',"payload":"\xff"}'), "byte 101", "not UTF-8"),
        (article().replace(b"}", b',"payload":"\\udfff"}'), "$.payload", "surrogate"),
        (b'{"eventType":"a","payload":' + b"[" * 100_000, "byte 126", "more than 100"),
        (b"x" * (10 << 20), "byte 1048576", "10485760 bytes; at most 1048576"),
    ],
    ids=lambda part: None if isinstance(part, bytes) else part,
)  # fmt: skip
def test_a_refusal_says_what_and_where_and_keeps_the_bytes(
    value: bytes, where: str, message: str
) -> None:
    error = refusal(value)

    assert error.where == where
    assert re.search(message, str(error))


def test_limits_can_be_set() -> None:
    strict = make(Limits(event_bytes=200, depth=2, id_chars=5, type_chars=5, key_chars=3))

    assert strict.event(b'{"eventType":"a","eventId":"12345","key":"k","payload":{}}').id == "12345"
    for value, where in (
        (b'{"eventType":"a","eventId":"123456","key":"k"}', "$.eventId"),
        (b'{"eventType":"abcdef","eventId":"1"}', "$.eventType"),
        (b'{"eventType":"a","eventId":"1","key":"long"}', "$.key"),
        (b'{"eventType":"a","eventId":"1","payload":{"a":{}}}', "byte 46"),
        (b'{"eventType":"a"' + b" " * 200 + b"}", "byte 200"),
    ):
        assert refusal(value, strict.event).where == where


def test_an_event_just_within_the_size_limit_is_let_in() -> None:
    padding = (1 << 20) - len(article(payload=""))

    event = intake.event(article(payload="x" * padding))

    assert len(bytes(event.data)) == padding + 2
    assert refusal(article(payload="x" * (padding + 1))).where == f"byte {1 << 20}"


# Batches


def test_a_batch_gives_what_is_good_and_names_what_is_not() -> None:
    body = b"[%b, 17, %b ,{}]" % (article(eventId="a"), article(eventId="b"))

    taken = intake.events(body)

    assert [event.id for event in taken.events] == ["a", "b"]
    assert [(refused.index, refused.error.where) for refused in taken.refusals] == [
        (1, "$"),
        (3, "$.eventType"),
    ]
    assert [refused.error.value for refused in taken.refusals] == [b"17", b"{}"]


def test_bad_utf_8_in_one_item_spoils_only_that() -> None:
    taken = intake.events(b'[%b,{"eventType":"\xff"}]' % article())

    assert len(taken.events) == 1
    assert [(r.index, r.error.where) for r in taken.refusals] == [(1, "byte 14")]


@pytest.mark.parametrize("body", [b"[1,", b"[1 2]", b"[" * 100_000, b"[]]", b"[{]"])
def test_an_array_that_cannot_be_taken_apart_is_refused_whole(body: bytes) -> None:
    taken = intake.events(body)

    assert taken.events == ()
    assert [refused.index for refused in taken.refusals] == [-1]
    assert taken.refusals[0].error.where.startswith("byte")
    assert taken.refusals[0].error.value == body


def test_an_empty_array_is_no_event_and_no_error() -> None:
    assert intake.events(b" [ ] ").events == intake.events(b"[]").refusals == ()


def test_one_event_is_a_batch_of_one() -> None:
    assert [event.id for event in intake.events(article()).events] == ["1"]
    assert [refused.index for refused in intake.events(b"").refusals] == [0]


def test_each_line_is_an_event_and_empty_ones_count() -> None:
    body = b"\n".join([article(eventId="a"), b"", b"nonsense", article(eventId="b") + b"\r", b""])

    taken = intake.lines(body)

    assert [event.id for event in taken.events] == ["a", "b"]
    assert [(r.index, r.error.value) for r in taken.refusals] == [(2, b"nonsense")]


def test_kinds_may_be_mixed_in_one_batch() -> None:
    body = json.dumps([BASE, {**CLOUD, "id": "2"}]).encode()

    assert [event.id for event in intake.events(body).events] == ["1", "2"]


# Requests


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", article()),
        ("application/json", article()),
        ("Application/JSON; charset=UTF-8", article()),
        ("application/json; charset=utf8", b"[" + article() + b"]"),
        ("text/json", article()),
        ("application/vnd.acme.event+json", article()),
        ("application/x-ndjson", article() + b"\n"),
        ("application/jsonl", article()),
        ("application/cloudevents+json", json.dumps(CLOUD).encode()),
        ("application/cloudevents-batch+json; charset=utf-8", json.dumps([CLOUD]).encode()),
        ("application/json", json.dumps(CLOUD).encode()),
    ],
)
def test_the_content_type_says_how_a_body_is_read(content_type: str, body: bytes) -> None:
    taken = intake.request({"Content-Type": content_type}, body)

    assert [event.id for event in taken.events] == ["1"]
    assert taken.refusals == ()


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        ("application/x-www-form-urlencoded", "send application/json"),
        ("text/plain", "'text/plain'"),
        ("application/json; charset=latin-1", "send UTF-8"),
        ("nonsense", "'nonsense'"),
    ],
)
def test_another_content_type_is_refused_with_those_that_are_read(
    content_type: str, message: str
) -> None:
    taken = intake.request({"content-type": content_type}, article())

    assert taken.events == ()
    assert taken.refusals[0].index == -1
    assert taken.refusals[0].error.where == "header content-type"
    assert message in str(taken.refusals[0].error)


def test_the_articles_json_under_a_cloudevents_content_type_is_refused() -> None:
    taken = intake.request({"content-type": cloudevents.STRUCTURED}, article())

    assert [r.error.where for r in taken.refusals] == ["$.specversion"]


def test_headers_make_a_cloudevent_in_binary_mode() -> None:
    headers = {f"CE-{name.upper()}": text for name, text in CLOUD.items()}

    taken = intake.request({**headers, "Content-Type": "application/json"}, b'{"sessionId":"s"}')

    assert [(event.id, event.key) for event in taken.events] == [("1", "s")]


def test_a_bad_header_is_named() -> None:
    headers = {f"ce-{name}": text for name, text in CLOUD.items()}

    taken = intake.request({**headers, "ce-time": "noon"}, b"{}")

    assert [(r.index, r.error.where) for r in taken.refusals] == [(0, "header ce-time")]
    assert taken.refusals[0].error.value == b"{}"
