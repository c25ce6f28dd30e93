import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core.codec import decode_many, encode_many
from motet.core.errors import CodecError
from motet.core.event import Event
from motet.core.refusals import check, fault, sound
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
