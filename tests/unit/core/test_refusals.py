import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core.codec import decode, decode_many, encode, encode_many
from motet.core.errors import CodecError
from motet.core.event import Event
from motet.core.refusals import check, encoded, fault, sound
from motet.testing.events import make_event

PIECES = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"1",
        b"null",
        b'"a"',
        b'"key"',
        b" ",
        b"\\",
        b"\xff",
    ]
)


def with_data(number: int, data: bytes) -> Event:
    return msgspec.structs.replace(make_event(number), data=msgspec.Raw(data))


def is_json(value: bytes) -> bool:
    try:
        msgspec.json.decode(value.decode(), type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeError):
        return False
    return True


@given(st.lists(st.lists(PIECES, max_size=7).map(b"".join), min_size=1, max_size=4))
def test_what_is_let_in_comes_back_and_what_is_refused_is_no_json(payloads: list[bytes]) -> None:
    events = [with_data(n, data) for n, data in enumerate(payloads)]
    refused = [data for data in payloads if not is_json(data)]
    if refused:
        with pytest.raises(CodecError) as refusal:
            check(events)
        assert (refusal.value.where, refusal.value.value) == ("$.payload", refused[0])
    else:
        check(events)
        back = decode_many(encode_many(events))
        assert [(e.id, e.key) for e in back] == [(e.id, e.key) for e in events]
        assert [bytes(e.data) for e in back] == [data.strip() for data in payloads]


def test_parts_of_one_value_in_two_payloads_are_refused() -> None:
    halves = [with_data(0, b'{"a":1'), with_data(1, b'"x"}')]
    with pytest.raises(CodecError, match=make_event(0).id):
        check(halves)


def test_usual_events_are_settled_at_first_sight() -> None:
    for data in (None, {"total": 12.5, "note": 'a\n"b"'}, "клиент", "\x7f"):
        events = [make_event(n, data=data) for n in range(3)]
        assert sound(events, [encode_many(events)])
        assert sound(events, [encode_many(events[:1]), encode_many(events[1:])])
        assert fault(events) is None


@pytest.mark.parametrize("key", ["a\nb", "a\x7fb", "a\x85b", "é\x85", "\x00"])
def test_a_control_character_is_found_wherever_it_is(key: str) -> None:
    for data in (None, "клиент", "a\nb"):
        with pytest.raises(CodecError, match="key: a control character"):
            check([make_event(1, data=data), make_event(2, key=key, data=data)])


@pytest.mark.parametrize("key", ["клиент", "\u00a0", "\u200b", "日本", "😀", ""])
def test_a_key_may_be_in_any_script(key: str) -> None:
    check([make_event(1, key=key, data="x")])


def test_encoded_gives_each_event_as_the_codec_does_in_order() -> None:
    events = [make_event(n, key=f"k{n}", data={"n": n, "note": "клиент\n"}) for n in range(5)]
    assert encoded(events) == [encode(event) for event in events]
    assert encoded([]) == []


def test_encoded_lets_through_what_only_looks_suspicious_at_first_sight() -> None:
    events = [make_event(1), make_event(2, key="soft\u00adhyphen", data="é")]
    assert encoded(events) == [encode(event) for event in events]


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        (with_data(1, b'1,"key":2'), "$.payload"),
        (with_data(1, b"1},{"), "$.payload"),
        (with_data(1, b"\xff"), "$.payload"),
        (make_event(1, key="a\nb"), "$.key"),
        (make_event(1, key="\ud800"), "$.key"),
        (make_event(1, type=""), "$.eventType"),
        (msgspec.structs.replace(make_event(1), key=7), "$.key"),
        (msgspec.structs.replace(make_event(1), data={"a": object()}), "$.payload"),
    ],
)
def test_encoded_refuses_all_for_one_and_names_it(bad: Event, where: str) -> None:
    with pytest.raises(CodecError, match=make_event(1).id) as refusal:
        encoded([make_event(0), bad, make_event(2)])
    assert refusal.value.where == where


@given(st.lists(st.lists(PIECES, max_size=5).map(b"".join), min_size=1, max_size=3))
def test_encoded_refuses_what_cannot_be_appended_and_nothing_else(payloads: list[bytes]) -> None:
    events = [with_data(n, data) for n, data in enumerate(payloads)]
    error = fault(events)
    if error is None:
        assert [decode(value).id for value in encoded(events)] == [event.id for event in events]
        return
    with pytest.raises(CodecError) as refusal:
        encoded(events)
    assert (str(refusal.value), refusal.value.where) == (str(error), error.where)
