"""Events as bytes and back: the fast path, for bytes that `intake` let in.

One event is one JSON object in the article's envelope; several are a JSON array. What is inside
`payload`, `metadata` and `references` is not looked at: `documents.parse` does that once, at the
edge, and whoever decodes a payload does it again for the part that is read.
"""

import re
from collections.abc import Sequence

import msgspec

from motet.core import documents
from motet.core.errors import CodecError
from motet.core.event import Event

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode
_decode_many = msgspec.json.Decoder(list[Event]).decode

_AT = re.compile(r" - at `(?:key in )?`?(\$[^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_UNENCODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, TypeError, OverflowError)


def encode(event: Event) -> bytes:
    """Return an event as one JSON object on one line.

    Raises:
        CodecError: an attribute is of another type than declared, or half a surrogate pair.
    """
    try:
        return _encode(event)
    except _UNENCODABLE as err:
        raise CodecError(f"event {event.id!r} cannot be encoded: {err}") from err


def encode_many(events: Sequence[Event]) -> bytes:
    """Return events as one JSON array.

    Raises:
        CodecError: as for `encode`.
    """
    try:
        return _encode(events)
    except _UNENCODABLE as err:
        raise CodecError(f"the events cannot be encoded: {err}") from err


def decode(value: bytes) -> Event:
    """Return the event that `encode` wrote. Its payload is a view on `value`.

    Raises:
        CodecError: the bytes are no event; `where` and `value` say which part of what.
    """
    try:
        return _decode(value)
    except _UNDECODABLE as err:
        raise explain(err, value) from err


def decode_many(body: bytes) -> list[Event]:
    """Return the events that `encode_many` wrote. Their payloads are views on `body`.

    Raises:
        CodecError: the bytes are no array of events; nothing is returned then.
    """
    try:
        return _decode_many(body)
    except _UNDECODABLE as err:
        raise explain(err, body) from err


def explain(err: Exception, value: bytes, *, root: str = "$", about: str = "") -> CodecError:
    """Return a decoder's error as one that says what is wrong and where.

    `value` was being decoded; in the event it stands at `root`. `about` opens the message.
    """
    if not isinstance(err, msgspec.ValidationError):
        error = documents.fault(value) or CodecError(str(err), value=value)
        return CodecError(about + str(error), where=_below(root, error.where), value=value)
    message, where = str(err), "$"
    if at := _AT.search(message):
        message, where = message[: at.start()], at[1]
    if missing := _MISSING.search(message):
        where += documents.step(missing[1])
        message = "it is required and missing"
    return CodecError(about + _lower(message), where=_below(root, where), value=value)


def _below(root: str, where: str) -> str:
    return root + where[1:] if where.startswith("$") else where


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
