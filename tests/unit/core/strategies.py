"""What Hypothesis draws for the tests of `motet.core`."""

import json
from collections.abc import Callable
from typing import TypeVar

import msgspec
from hypothesis import strategies as st

from motet.core.clock import format_time
from motet.core.errors import CodecError
from motet.core.event import ABSENT, NULL, Event

ARTICLE = (
    b'{"eventId":"550e8400-e29b-41d4-a716-446655440000","eventType":"agent.tool.invoked",'
    b'"timestamp":"2026-05-25T10:15:30Z","version":2,'
    b'"schema":"https://api.example.com/schemas/agent-tool-invoked/v2",'
    b'"payload":{"agentId":"customer-support-v2.3","sessionId":"sess_abc123",'
    b'"toolName":"vector_search","input":{"query":"return policy","topK":5},'
    b'"output":{"latency_ms":245},"metadata":{"temperature":0.7}}}'
)
"""The article's event, section 2."""

characters = st.characters(exclude_categories=["Cs"])
printable = st.characters(exclude_categories=["Cs", "Cc"])
texts = st.text(characters, max_size=20)
names = st.text(printable, min_size=1, max_size=20).filter(lambda text: text.strip())

scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**30), max_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=5)
instants = st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999)
times = instants.map(format_time)


def raw(value: object) -> msgspec.Raw:
    """JSON as an event holds it."""
    return msgspec.Raw(msgspec.json.encode(value))


def spelled(value: object, draw: Callable[[st.SearchStrategy[bool]], bool]) -> bytes:
    """JSON with or without white space and escapes: another spelling of the same value."""
    indent = 1 if draw(st.booleans()) else None
    return json.dumps(value, indent=indent, ensure_ascii=draw(st.booleans())).encode()


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event that intake would let in."""
    return Event(
        id=draw(names),
        type=draw(names),
        time=draw(times),
        key=draw(names),
        source=draw(names),
        schema_version=draw(st.integers(1, 2**31 - 1)),
        schema=draw(st.just("") | names),
        correlation_id=draw(st.just("") | names),
        causation_id=draw(st.just("") | names),
        data=draw(st.just(NULL) | values.map(raw)),
        metadata=draw(st.just(ABSENT) | objects.map(raw)),
        references=draw(st.just(ABSENT) | objects.map(raw)),
    )


@st.composite
def mutated(draw: st.DrawFn, valid: bytes) -> bytes:
    """Bytes a few steps away from valid ones."""
    value = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        until = min(len(value), at + draw(st.integers(0, 12)))
        insert = draw(st.binary(max_size=3) | st.sampled_from(_PIECES))
        value[at:until] = insert
    return bytes(value)


_PIECES = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"-Infinity", b"1e999", b"-",
    b"0", b"1.5", b"true", b'"a":1,', b"\\ud800", b"\\u0022", b"\\u003a", b"\xff", b"\x00",
    b"\xef\xbb\xbf", b'"eventId":1,', b'"payload":2,', b'"specversion":"1.0",', b" " * 3, b"\n",
)  # fmt: skip


T = TypeVar("T")


def attempt(read: Callable[[bytes], T], value: bytes) -> T | CodecError:
    """Return what reading gives: any other error than a CodecError goes on up."""
    try:
        return read(value)
    except CodecError as err:
        return err


def meaning(event: Event) -> dict[str, object]:
    """An event by value: members in any order, numbers however they were written."""
    fields: dict[str, object] = msgspec.structs.asdict(event)
    for name in ("data", "metadata", "references"):
        text = bytes(getattr(event, name))
        fields[name] = json.loads(text) if text else None
    return fields
