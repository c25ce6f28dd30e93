"""What a broker delivers becomes a record or `Broken`, the same at every delivery."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from motet.core import cloudevents
from motet.core.arrivals import TOMBSTONE, Arrival, opened, opened_values
from motet.core.codec import encode
from motet.core.event import NULL, Broken, Event, Partition, Record
from motet.core.refusals import check
from motet.testing.events import make_event
from tests.unit.core.strategies import ARTICLE, events, mutated

PLACE = Partition("t", 3)
UNBOUNDED = encode(make_event(0)).replace(make_event(0).id.encode(), b"")  # its id is empty
TOOK_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


def arrival(value: bytes | None, **parts: object) -> Arrival:
    return msgspec.structs.replace(Arrival(7, value, b"k1", time_us=TOOK_US), **parts)


def read(value: bytes | None, **parts: object) -> Record:
    found = opened(PLACE, arrival(value, **parts))
    assert isinstance(found, Record), found
    return found


def refused(value: bytes | None, **parts: object) -> Broken:
    found = opened(PLACE, arrival(value, **parts))
    assert isinstance(found, Broken), found
    return found


@given(events())
def test_what_motet_wrote_comes_back_as_it_was(event: Event) -> None:
    value = encode(event)
    found = read(value, attempt=2)
    assert found.event == event
    assert (found.offset, found.attempt, found.value) == (7, 2, value)


def test_our_own_event_does_not_take_the_key_of_the_message() -> None:
    assert read(encode(make_event(1, key="mine"))).event.key == "mine"


def test_the_articles_event_is_read_with_its_id_and_its_payload() -> None:
    event = read(ARTICLE).event
    assert (event.id, event.type) == ("550e8400-e29b-41d4-a716-446655440000", "agent.tool.invoked")
    assert json.loads(bytes(event.data))["toolName"] == "vector_search"


def test_json_without_an_id_gets_the_same_one_at_every_delivery() -> None:
    value = b'{"eventType": "order.placed", "payload": {"n": 1}}'
    first, again = read(value).event, read(value, attempt=3).event
    assert first == again
    assert first.time == "2026-01-01T00:00:00.000000Z"
    assert first.key == "k1"
    ids = {
        first.id,
        read(value, offset=8).event.id,
        read(value, time_us=TOOK_US + 1000).event.id,
        _event(opened(Partition("t", 4), arrival(value))).id,
        _event(opened(Partition("u", 3), arrival(value))).id,
    }
    assert len(ids) == 5


def test_without_a_key_of_the_message_the_event_keeps_its_own() -> None:
    value = b'{"eventType": "a.b", "payload": {"sessionId": "s1"}}'
    assert read(value, key=b"").event.key == "s1"
    assert read(value, key=b"k1").event.key == "s1"


def test_unknown_members_are_kept_in_the_metadata() -> None:
    event = read(b'{"eventId":"e1","eventType":"a.b","tenant":"x","payload":null}').event
    assert json.loads(bytes(event.metadata)) == {"tenant": "x"}


def test_the_bytes_and_headers_that_came_are_kept_beside_the_event() -> None:
    headers = (("x-trace", b"\xff\x00"), ("x-trace", b"again"))
    value = b' {"eventType": "a.b"}'
    found = read(value, headers=headers)
    assert (found.value, found.headers) == (value, headers)
    ours = encode(make_event(1))
    assert read(ours, headers=headers).event == make_event(1)


@pytest.mark.parametrize(
    ("binding", "prefix"), [(cloudevents.KAFKA, "ce_"), (cloudevents.AMQP, "cloudEvents_")]
)
def test_a_cloudevent_in_binary_mode_is_read_from_its_headers(
    binding: cloudevents.Binding, prefix: str
) -> None:
    attributes = {
        "specversion": b"1.0",
        "id": b"c1",
        "type": b"order.placed",
        "source": b"/shop",
        "region": "zürich".encode(),
    }
    headers = (
        ("content-type", b"application/json"),
        *((f"{prefix}{name}", value) for name, value in attributes.items()),
        ("other", b"\xff"),
    )
    found = opened(PLACE, arrival(b'{"n": 1}', headers=headers), binding=binding)
    event = _event(found)
    assert (event.id, event.type, event.source) == ("c1", "order.placed", "/shop")
    assert event.key == "k1"
    assert json.loads(bytes(event.data)) == {"n": 1}
    assert json.loads(bytes(event.metadata))["region"] == "zürich"


def test_a_cloudevent_in_structured_mode_is_read_from_its_value() -> None:
    value = (
        b'{"specversion":"1.0","id":"c1","type":"order.placed","source":"/shop",'
        b'"partitionkey":"p","data":{"n":1}}'
    )
    headers = (("content-type", b"application/cloudevents+json"),)
    event = read(value, headers=headers).event
    assert (event.id, event.source, event.key) == ("c1", "/shop", "p")
    assert bytes(event.data) == b'{"n":1}'


def test_a_cloudevent_that_lacks_an_attribute_is_broken_and_keeps_its_headers() -> None:
    headers = (("ce_specversion", b"1.0"), ("ce_type", b"a.b"), ("ce_source", b"/s"))
    broken = refused(b"{}", headers=headers)
    assert (broken.key, broken.headers, broken.value) == (b"k1", headers, b"{}")
    assert "id" in broken.error


def test_a_tombstone_is_an_event_about_its_key() -> None:
    found = read(None)
    assert (found.event.type, found.event.key, found.event.data) == (TOMBSTONE, "k1", NULL)
    assert found.value == b""
    assert found.event == read(None, attempt=2).event
    assert found.event.id != read(None, offset=8).event.id


@pytest.mark.parametrize("value", [b"", b"\xff", b"text", b"[]", b'{"eventId":"', b"1", b"{}"])
def test_bytes_that_are_no_event_are_broken_with_key_and_headers(value: bytes) -> None:
    headers = (("h", b"v"),)
    broken = refused(value, headers=headers)
    assert (broken.offset, broken.value) == (7, value)
    assert (broken.key, broken.headers) == (b"k1", headers)
    assert broken.error


@pytest.mark.parametrize("value", [None, b'{"eventType":"a.b"}'])
def test_a_key_that_is_not_utf_8_makes_it_broken(value: bytes | None) -> None:
    broken = refused(value, key=b"a\xff")
    assert broken.error == "the key is not UTF-8: invalid start byte at byte 1"
    assert (broken.key, broken.value) == (b"a\xff", value or b"")


@pytest.mark.parametrize(
    "member",
    [
        b'"eventId":""',
        b'"eventId":"a","key":"a\\nb"',
        b'"eventId":"a","version":0',
        b'"eventId":"a","metadata":7',
        b'"eventId":"a","source":"' + b"x" * 5000 + b'"',
    ],
)
def test_what_looks_like_ours_is_held_to_the_limits_of_events(member: bytes) -> None:
    value = b"{" + member + b',"eventType":"a.b","timestamp":"2026-01-01T00:00:00Z"}'
    refused(value)


@pytest.mark.parametrize("key", [b"a\nb", b"k" * 5000])
def test_a_key_that_no_event_may_have_makes_it_broken(key: bytes) -> None:
    for value in (None, b'{"eventType":"a.b"}'):
        assert "key" in refused(value, key=key).error


_NAMES = st.sampled_from(
    ["content-type", "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "CE_SUBJECT"]
)
_VALUES = st.sampled_from([b"1.0", b"application/json", b"text/plain", b"a.b", b"/s"])
_HEADERS = st.lists(
    st.tuples(_NAMES | st.text(max_size=5), _VALUES | st.binary(max_size=5)), max_size=6
).map(tuple)
_BYTES = (
    st.binary(max_size=20)
    | mutated(encode(make_event(1)))
    | mutated(b'{"eventType":"a.b","payload":{"n":1},"x":1}')
    | mutated(ARTICLE)
    | mutated(b'{"specversion":"1.0","id":"1","type":"a","source":"/s","data":1}')
)


@given(
    value=st.none() | _BYTES,
    key=st.binary(max_size=6),
    headers=st.just(()) | _HEADERS,
    time_us=st.integers(0, 2**53),
)
@example(value=b'{"eventId":"","eventType":"a","timestamp":""}', key=b"", headers=(), time_us=0)
def test_whatever_comes_is_a_record_that_could_be_published_or_broken(
    value: bytes | None, key: bytes, headers: tuple[tuple[str, bytes], ...], time_us: int
) -> None:
    found = opened(PLACE, Arrival(7, value, key, headers, time_us))
    assert found == opened(PLACE, Arrival(7, value, key, headers, time_us))
    if isinstance(found, Record):
        check([found.event])
    else:
        assert isinstance(found, Broken)
        assert (found.key, found.headers, found.value) == (key, headers, value or b"")


def _event(found: Record | Broken) -> Event:
    assert isinstance(found, Record), found
    return found.event


@given(st.lists(events().map(encode) | _BYTES | st.just(UNBOUNDED), max_size=4))
@example([encode(make_event(1)), UNBOUNDED])
def test_values_that_come_together_become_what_each_would_alone(values: list[bytes]) -> None:
    alone = [opened(PLACE, Arrival(offset, value)) for offset, value in enumerate(values)]
    records, broken = opened_values(PLACE, range(len(values)), values)
    assert records == [each for each in alone if isinstance(each, Record)]
    assert broken == [each for each in alone if isinstance(each, Broken)]
