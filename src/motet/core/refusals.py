"""What a log refuses to append: an event that could not be read back, or that breaks the limits.

`documents.parse` and `envelope.Rules` look closely at what comes from outside. This is for what
a program makes itself: a `Raw` that is no JSON would take along the events next to it.
"""

import re
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Annotated

import msgspec

from motet.core import documents
from motet.core.codec import encode, encode_many
from motet.core.envelope import CONTROL, TEXTS, WIRE, Limits
from motet.core.errors import CodecError
from motet.core.event import ABSENT, NULL, Event

_MOST = Limits()
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=_MOST.id_chars)]
_Type = Annotated[str, msgspec.Meta(min_length=1, max_length=_MOST.type_chars)]
_Key = Annotated[str, msgspec.Meta(max_length=_MOST.key_chars)]
_Uri = Annotated[str, msgspec.Meta(max_length=_MOST.uri_chars)]
_Id = Annotated[str, msgspec.Meta(max_length=_MOST.id_chars)]
_Version = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class _Object(msgspec.Struct, gc=False):
    """Any JSON object: its members are passed over."""


class _Skimmed(msgspec.Struct, frozen=True, gc=False, rename=WIRE):
    """An event as far as a log has to know it."""

    id: _Name
    type: _Type
    time: str
    key: _Key = ""
    source: _Uri = ""
    schema_version: _Version = 1
    schema: _Uri = ""
    correlation_id: _Id = ""
    causation_id: _Id = ""
    data: msgspec.Raw = NULL
    metadata: _Object | None = None
    references: _Object | None = None


_ATTRIBUTES = [
    (field.name, field.type)
    for field in msgspec.structs.fields(_Skimmed)
    if field.name not in ("data", "metadata", "references")
]
_skim = msgspec.json.Decoder(list[_Skimmed]).decode
_skim_one = msgspec.json.Decoder(_Skimmed).decode
_value = msgspec.json.Decoder(msgspec.Raw).decode
_object = msgspec.json.Decoder(_Object | None).decode
_texts = attrgetter(*TEXTS)
_C1 = re.compile(rb"\xc2[\x80-\x9f]")
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


def sound(events: Sequence[Event], bodies: Sequence[bytes]) -> bool:
    """Whether `bodies`, the events as JSON arrays, can be read back, and nothing is out of bounds.

    False may be a false alarm, which `fault` settles. About 0.25 microseconds an event, and one
    nanosecond a byte where there is more than ASCII.
    """
    count = size = 0
    plain = True
    try:
        for body in bodies:
            skimmed = _skim(body)
            count += len(skimmed)
            size += sum([len(each.data) for each in skimmed])
            plain = plain and _plain(body)
        # A payload of `1},{...` would be two events; one of `1,"key":2` would lose its end.
        if count != len(events) or size != sum([len(event.data) for event in events]):
            return False
        return plain or "".join(chain.from_iterable(map(_texts, events))).isprintable()
    except (*_UNREADABLE, TypeError):
        return False


def in_bounds(event: Event, value: bytes) -> bool:
    """Whether an event just decoded from `value` could be appended.

    About a microsecond; the alarms of `sound` are settled here.
    """
    try:
        _skim_one(value)
        if _plain(value) or "".join(_texts(event)).isprintable():
            return True
    except _UNREADABLE:
        return False
    return fault((event,)) is None


def _plain(body: bytes) -> bool:
    """Whether no control character can be in it: in JSON the others are escaped.

    Raises:
        UnicodeError: it is not UTF-8, which a decoder that passes over payloads does not notice.
    """
    plain = b"\\" not in body and b"\x7f" not in body
    if body.isascii():
        return plain
    body.decode()
    return plain and (b"\xc2" not in body or not _C1.search(body))


def encoded(events: Sequence[Event]) -> list[bytes]:
    """Return each event as `codec.encode` makes it, once all of them were looked at.

    Raises:
        CodecError: one could not be read back, or is out of bounds; `where` is the member.
    """
    try:
        values = [encode(event) for event in events]
        if sound(events, [b"[%b]" % b",".join(values)]):
            return values
    except CodecError:
        values = []
    if error := fault(events):
        raise error
    return values or [encode(event) for event in events]


def check(events: Sequence[Event]) -> None:
    """Look at events before they are appended to a log that does not encode them.

    Raises:
        CodecError: one could not be read back, or is out of bounds; `where` is the member.
    """
    try:
        if sound(events, [encode_many(events)]):
            return
    except CodecError:
        pass
    if error := fault(events):
        raise error


def fault(events: Sequence[Event]) -> CodecError | None:
    """Return what is wrong with the first event that cannot be appended; None if all can."""
    for event in events:
        for found in (_attribute(event), _payload(event)):
            if found is not None:
                wire, message, value = found
                return CodecError(
                    f"event {str(event.id)[:80]!r} cannot be published: {wire}: {message}",
                    where=f"$.{wire}",
                    value=value,
                )
    return None


_Found = tuple[str, str, bytes]
"""Wire name, what is wrong, the bytes it is said of."""


def _attribute(event: Event) -> _Found | None:
    for name, kind in _ATTRIBUTES:
        value = getattr(event, name)
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as err:
            return WIRE[name], str(err), b""
        if isinstance(value, str) and (message := _text(value)):
            return WIRE[name], message, b""
    return None


def _text(text: str) -> str:
    if control := CONTROL.search(text):
        return f"a control character, U+{ord(control[0]):04X}"
    try:
        text.encode()
    except UnicodeEncodeError as err:
        return f"half a surrogate pair: \\u{ord(text[err.start]):04x}"
    return ""


def _payload(event: Event) -> _Found | None:
    for name, decode in (("data", _value), ("metadata", _object), ("references", _object)):
        raw = getattr(event, name)
        if raw is ABSENT and name != "data":
            continue
        if not isinstance(raw, msgspec.Raw):
            return WIRE[name], f"it has to be a msgspec.Raw, not {type(raw).__name__}", b""
        value = bytes(raw)
        try:
            value.decode()
            decode(value)
        except msgspec.ValidationError:
            return WIRE[name], "it has to be a JSON object", value
        except _UNREADABLE as err:
            why = documents.fault(value)
            return WIRE[name], f"{why} ({why.where})" if why else str(err), value
    return None
