"""Payload members that a Struct does not know, kept and written back where they were.

msgspec drops what a Struct does not declare, and has no field for the rest. Two steps make one:

- After decoding, `keep_unknown` goes through the Structs of the result beside the text they were
  decoded from, and sets `extra` on each `Open` one that has unknown members.
- When encoding, msgspec asks `_splice` how to write an `Extra`. The answer is a `Raw`, which is
  copied unchecked: `"motet:extra","unknown":1`. After the field's name that is a stub and then the
  unknown members, at the level of the Struct, however deep. `encode_payload` takes the stubs out.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import get_args, get_origin, get_type_hints

import msgspec

_FIELD = "motet:extra"
_STUB = f'"{_FIELD}":"{_FIELD}"'.encode()
_STUB_VALUE = f'"{_FIELD}"'.encode()
_as_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_as_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_as_value = msgspec.json.Decoder().decode
_skim = msgspec.json.Decoder(msgspec.Raw).decode


class Extra(Mapping[str, object]):
    """Members of a JSON object by name. Numbers and text are kept exactly as they were written."""

    __slots__ = ("_text",)

    def __init__(self, members: Mapping[str, object] | None = None) -> None:
        self._text = msgspec.json.encode(dict(members))[1:-1] if members else b""

    def __getitem__(self, name: str) -> object:
        return _as_value(self._members()[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._members())

    def __len__(self) -> int:
        return len(self._members()) if self._text else 0

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Extra) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Extra({dict(self)!r})"

    def _members(self) -> dict[str, msgspec.Raw]:
        return _as_members(b"{%b}" % self._text)

    def splice(self) -> msgspec.Raw:
        """Return what to write after the field's name: a stub, then the members."""
        return msgspec.Raw(_STUB_VALUE + b"," + self._text if self._text else _STUB_VALUE)


_NONE = Extra()


class Open(msgspec.Struct, kw_only=True):
    """Base of payload Structs that keep members they do not know in `extra`.

    Hand `extra` on when an event is made from another, and a member added by a newer
    producer travels through this program. Works at any depth below Structs, lists,
    tuples and dicts; `encode_payload` writes the members back.
    """

    extra: Extra = msgspec.field(default=_NONE, name=_FIELD)


def _splice(value: object) -> object:
    if isinstance(value, Extra):
        return value.splice()
    raise TypeError(f"{type(value).__name__} has no JSON form")


UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, NotImplementedError)
"""What `encode_payload` raises for values that are no JSON."""

_encode = msgspec.json.Encoder().encode
_encode_open = msgspec.json.Encoder(enc_hook=_splice).encode


def encode_payload(payload: object) -> msgspec.Raw:
    """Return a payload as JSON, with the unknown members of `Open` Structs where they were.

    A `Raw` is checked; one further inside is the caller's responsibility.

    Raises:
        TypeError: something in it has no JSON form; see `UNENCODABLE` for the rest.
    """
    if type(payload) is msgspec.Raw:
        check_json(payload)
        return payload
    try:
        return msgspec.Raw(_encode(payload))
    except TypeError:  # the extra members of an `Open` Struct, or no JSON at all
        text = _encode_open(payload)
    if _STUB in text:
        for stub in (_STUB + b",", b"," + _STUB, _STUB):
            text = text.replace(stub, b"")
    return msgspec.Raw(text)


def check_json(text: msgspec.Raw) -> None:
    """Look through encoded JSON without decoding it.

    Raises:
        ValueError: it is no JSON value, or not UTF-8.
        RecursionError: it is nested too deep to be decoded.
    """
    _skim(text)  # does not look whether strings are UTF-8
    str(text, "utf-8")


def keeps_unknown(annotation: object) -> bool:
    """Whether a type is `Open` or has an `Open` Struct inside."""
    return _keeps(annotation, set())


def _keeps(annotation: object, seen: set[type]) -> bool:
    struct = get_origin(annotation) or annotation  # Page[Order] is a Page
    if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and struct not in seen:
        seen.add(struct)
        if issubclass(struct, Open):
            return True
        if any(_keeps(hint, seen) for hint in get_type_hints(struct).values()):
            return True
    return any(_keeps(part, seen) for part in get_args(annotation))


def keep_unknown(value: object, text: bytes | msgspec.Raw) -> None:
    """Set `extra` in every `Open` Struct inside a value that was decoded from `text`."""
    if isinstance(value, msgspec.Struct):
        if not value.__struct_config__.array_like:
            _keep_in_struct(value, _as_members(text))
    elif isinstance(value, list | tuple):
        for item, part in zip(value, _as_items(text), strict=False):
            keep_unknown(item, part)
    elif isinstance(value, dict):
        members = _as_members(text)
        for name, item in value.items():
            if name in members:
                keep_unknown(item, members[name])


def _keep_in_struct(value: msgspec.Struct, members: dict[str, msgspec.Raw]) -> None:
    known = _fields(type(value))
    for name, attribute in known.items():
        if name in members and attribute:
            keep_unknown(getattr(value, attribute), members[name])
    if isinstance(value, Open):
        unknown = {name: part for name, part in members.items() if name not in known}
        if unknown:
            msgspec.structs.force_setattr(value, "extra", Extra(unknown))


@lru_cache(maxsize=1024)
def _fields(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """Attributes by wire name, and the tag's name with none."""
    known = dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))
    if tag := struct.__struct_config__.tag_field:
        known[tag] = ""
    return known
