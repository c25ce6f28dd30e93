import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core import codec
from motet.core.errors import CodecError
from motet.core.event import Event
from tests.unit.core.strategies import ARTICLE, attempt, events, mutated


@given(events())
def test_an_event_survives_being_encoded_and_decoded(event: Event) -> None:
    assert codec.decode(codec.encode(event)) == event


@given(st.lists(events(), max_size=4))
def test_so_do_many_in_one_array(several: list[Event]) -> None:
    body = codec.encode_many(several)

    assert codec.decode_many(body) == several
    assert codec.decode_many(codec.encode_many(tuple(several))) == several
    assert msgspec.json.decode(body) == [msgspec.json.decode(codec.encode(e)) for e in several]


@given(mutated(ARTICLE))
def test_damaged_bytes_give_an_event_or_a_codec_error(value: bytes) -> None:
    found = attempt(codec.decode, value)

    assert found.value == value if isinstance(found, CodecError) else codec.encode(found)


@given(mutated(b"[" + ARTICLE + b"," + ARTICLE + b"]"))
def test_damaged_arrays_give_events_or_a_codec_error(body: bytes) -> None:
    found = attempt(codec.decode_many, body)

    assert found.value == body if isinstance(found, CodecError) else codec.encode_many(found)


@pytest.mark.parametrize(
    ("value", "where", "message"),
    [
        (b"", "byte 0", "there is nothing"),
        (b"{", "byte 1", "ends too early"),
        (b"17", "$", "expected `object`"),
        (b"{}", "$.eventId", "required"),
        (b'{"eventId":7}', "$.eventId", "expected `str`, got `int`"),
        (b'{"eventId":"\xff"}', "byte 12", "not UTF-8"),
        (b'{"eventId":"\\ud800"}', "$.eventId", "surrogate"),
        (b'{"eventId":"1","payload":[1,}', "byte 28", "not JSON"),
        (b'{"payload":' + b"[" * 100_000, "byte 110", "more than 100"),
    ],
)
def test_an_error_says_what_and_where_and_keeps_the_bytes(
    value: bytes, where: str, message: str
) -> None:
    with pytest.raises(CodecError, match=message) as caught:
        codec.decode(value)

    assert caught.value.where == where
    assert caught.value.value == value


def test_an_error_in_an_array_says_which_event() -> None:
    body = b"[" + ARTICLE + b',{"eventId":"2","eventType":null}]'

    with pytest.raises(CodecError) as caught:
        codec.decode_many(body)

    assert caught.value.where == "$[1].eventType"


@pytest.mark.parametrize("wrong", ["\ud800", object()])
def test_what_cannot_be_encoded_is_a_codec_error_too(wrong: str) -> None:
    event = Event(id="1", type=wrong, time="2026-05-25T10:15:30Z")

    with pytest.raises(CodecError, match="event '1' cannot be encoded"):
        codec.encode(event)
    with pytest.raises(CodecError, match="cannot be encoded"):
        codec.encode_many([event])


def test_payloads_are_views_on_the_buffer_and_cost_nothing() -> None:
    event = codec.decode(ARTICLE)

    assert memoryview(event.data).obj is not None
    assert bytes(event.data) in ARTICLE
