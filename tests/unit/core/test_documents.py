import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from motet.core import documents
from motet.core.errors import CodecError
from tests.unit.core.strategies import ARTICLE, attempt, mutated, spelled, texts, values

names = st.sampled_from(["a", "b", '"', ":", '":', 'x":', "\\", "é", ""]) | texts
awkward = st.recursive(
    st.integers(-5, 5) | st.sampled_from(['":', '"', ':"', 'a":1,"a":2', "\\u0022:"]) | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(st.tuples(names, inner), max_size=4).map(tuple)
    ),
    max_leaves=10,
)


def written(value: object, draw: st.DrawFn) -> str:
    """JSON of a value in which a tuple is an object, repeated names and all, escaped at random."""
    gap = draw(st.sampled_from(["", " ", "\n"]))
    if isinstance(value, tuple):
        members = (f"{text(name, draw)}{gap}:{gap}{written(item, draw)}" for name, item in value)
        return "{" + gap + f"{gap},{gap}".join(members) + "}"
    if isinstance(value, list):
        return f"[{','.join(written(item, draw) for item in value)}{gap}]"
    return text(value, draw) if isinstance(value, str) else json.dumps(value)


def text(value: str, draw: st.DrawFn) -> str:
    if draw(st.integers(0, 3)):
        return json.dumps(value)
    units = value.encode("utf-16-be")
    pairs = zip(units[::2], units[1::2], strict=True)
    return '"' + "".join(f"\\u{high:02X}{low:02x}" for high, low in pairs) + '"'


def repeats(value: object) -> bool:
    if isinstance(value, tuple):
        found = [name for name, _ in value]
        return len(set(found)) < len(found) or any(repeats(item) for _, item in value)
    return isinstance(value, list) and any(repeats(item) for item in value)


@given(awkward, st.data())
def test_a_name_there_twice_is_found_however_written(value: object, data: st.DataObject) -> None:
    source = written(value, data.draw).encode()

    if repeats(value):
        with pytest.raises(CodecError, match="twice"):
            documents.parse(source)
    else:
        assert documents.parse(source).value == json.loads(source)


@given(values, st.data())
def test_any_json_is_read_as_what_it_means(value: object, data: st.DataObject) -> None:
    document = documents.parse(spelled(value, data.draw))

    assert document.value == value
    assert json.loads(document.text) == value


@given(mutated(ARTICLE) | st.binary(max_size=40))
@example(b'"\xed\xa0\x80"')
@example(b'["a",]')
def test_the_fast_reading_and_the_careful_one_agree(value: bytes) -> None:
    refused = isinstance(attempt(documents.parse, value), CodecError)

    assert (documents.fault(value) is not None) == refused


def test_white_space_is_dropped_and_every_token_kept() -> None:
    source = b'{ "a" : 1.50 ,\n "b" : [ 1E5, "\\u00e9 \\/ x" , 123456789012345678901234567890 ] }'

    assert documents.parse(source).text == (
        b'{"a":1.50,"b":[1E5,"\\u00e9 \\/ x",123456789012345678901234567890]}'
    )


@pytest.mark.parametrize(
    ("value", "where", "message"),
    [
        (b"", "byte 0", "there is nothing"),
        (b" \n", "byte 2", "there is nothing"),
        (b"nul", "byte 0", "not JSON"),
        (b"{'a':1}", "byte 1", "double quotes"),
        (b'{"a":1', "byte 6", "ends too early"),
        (b'{"a":"x', "byte 5", "unterminated string"),
        (b"[1 2]", "byte 3", "not JSON"),
        (b"[1] 2", "byte 4", "extra data"),
        (b'"\xc3\xa9" x', "byte 5", "extra data"),
        (b"\xef\xbb\xbf{}", "byte 0", "byte order mark"),
        (b"\xff\xfe{\x00", "byte 0", "not UTF-8"),
        (b'{"a":"\xff"}', "byte 6", "not UTF-8: ff"),
        (b'{"a":"\xc0\x80"}', "byte 6", "not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "byte 6", "not UTF-8"),
        (b'{"a":"b\x01"}', "byte 7", "control character"),
        (b"\x00", "byte 0", "not JSON"),
        (b'{"a":[NaN]}', "$.a[0]", "NaN is not JSON"),
        (b'{"a":Infinity}', "$.a", "Infinity is not JSON"),
        (b'{"a":{"b c":-Infinity}}', '$.a["b c"]', "-Infinity is not JSON"),
        (b'{"a":1e400}', "$.a", "does not fit"),
        (b'{"a":-1e400}', "$.a", "does not fit"),
        (b'{"a":' + b"1" * 5000 + b"}", "$.a", "5000 digits"),
        (b'{"a":"\\ud800"}', "$.a", "half a surrogate pair"),
        (b'{"a":["\\udc00\\ud800"]}', "$.a[0]", "half a surrogate pair"),
        (b'{"\\ud800":1}', '$["\\ud800"]', "half a surrogate pair"),
        (b'{"a":1,"a":1}', "$.a", "twice"),
        (b'[{"a":{"b":1,"c":[2,{"d":1,"d":2}],"b":3}}]', "$[0].a.c[1].d", "twice"),
        (b'{"a":1,"\\u0061":2}', "$.a", "twice"),
        # Written again, the string gains the `":` that the lost name had.
        (b'{"a":1,"a":2,"b":"\\u0022:"}', "$.a", "twice"),
        (b'{"a":1,"a":2,"b":"\\"\\u003a"}', "$.a", "twice"),
        (b'{"a":1,"a":2,"b":"\\"\\u003A"}', "$.a", "twice"),
    ],
)
def test_a_fault_is_named_with_its_place(value: bytes, where: str, message: str) -> None:
    with pytest.raises(CodecError, match=message) as caught:
        documents.parse(value)

    assert caught.value.where == where
    assert caught.value.value == value


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("levels", [4, 900, 100_000])
def test_depth_is_limited_wherever_it_comes_from(opening: bytes, levels: int) -> None:
    closing = b"]" if opening == b"[" else b"}"
    value = opening * levels + b"1" + closing * levels

    with pytest.raises(CodecError, match="more than 3 arrays") as caught:
        documents.parse(value, depth=3)

    assert caught.value.where == f"byte {3 * len(opening)}"


@given(st.recursive(st.just(1), lambda inner: st.lists(inner, max_size=3), max_leaves=30))
def test_levels_are_counted_alike_by_both_readings(value: object) -> None:
    source = json.dumps(value, indent=1).encode()
    most = level = 0
    for byte in source:
        level += (byte == ord("[")) - (byte == ord("]"))
        most = max(most, level)

    assert documents.parse(source, depth=most).value == value
    assert documents.fault(source, depth=most) is None
    if most:
        with pytest.raises(CodecError, match="inside one another"):
            documents.parse(source, depth=most - 1)


def test_at_the_limit_all_is_well() -> None:
    assert documents.parse(b'[{"a":[]}]', depth=3).value == [{"a": []}]
    assert documents.parse(b"[[[]],[[]],[[]],[[]]]", depth=3).value == [[[]]] * 4
    assert documents.parse(b"1", depth=0).value == 1


def test_brackets_in_strings_are_no_levels() -> None:
    assert documents.parse(b'["[[[[", "\\"[[[[", 1]', depth=1).value == ["[[[[", '"[[[[', 1]


def test_a_limit_deeper_than_this_program_can_read_is_no_crash() -> None:
    with pytest.raises(CodecError, match=r"nested more deeply|more than"):
        documents.parse(b"[" * 200_000, depth=150_000)


@pytest.mark.parametrize(
    "value",
    [
        b'"' + b"a" * (10 << 20) + b'"',
        b'["' + b'\\"' * 300_000,
        b"[" + b"[]," * 200_000 + b"[]]",
        b"{" + b",".join(b'"%d":{}' % i for i in range(100_000)) + b"}",
    ],
    ids=["long string", "unclosed quotes", "wide array", "wide object"],
)
def test_large_documents_take_time_in_proportion(value: bytes) -> None:
    found = attempt(documents.parse, value)

    assert "unterminated" in str(found) or (not isinstance(found, CodecError) and found[0] == value)


def test_numbers_keep_their_value() -> None:
    assert documents.parse(b"[-0.0,5e-324,1e-400,18446744073709551616]").value == [
        -0.0,
        5e-324,
        0.0,
        2**64,
    ]
    assert math.copysign(1.0, documents.parse(b"-0.0").value) == -1.0
