"""What a handler asks for, checked: a wrong value fails its record here, and nothing further on."""

from operator import le

import msgspec

from motet.core.clock import parse_time
from motet.core.envelope import Limits
from motet.core.errors import CodecError, HandlerError
from motet.core.event import ABSENT, NULL, Event
from motet.core.extras import UNENCODABLE, check_json

_LIMITS = Limits()
NAME_CHARS = _LIMITS.type_chars  # topics and event types
KEY_CHARS = _LIMITS.key_chars
ID_CHARS = _LIMITS.id_chars
PLACE_CHARS = _LIMITS.uri_chars  # state keys and streams, which are often made of several ids
LATEST_US = 1 << 62  # what every store can hold, with room to add to it
_MAX_VERSION = 2**31 - 1

_TEXTS = {
    "id": ID_CHARS,
    "type": NAME_CHARS,
    "key": KEY_CHARS,
    "source": _LIMITS.uri_chars,
    "schema": _LIMITS.uri_chars,
    "correlation_id": ID_CHARS,
    "causation_id": ID_CHARS,
}
_REQUIRED = ("id", "type")
_most_chars = tuple(_TEXTS.values())


def refused(who: str, problem: str) -> HandlerError:
    """Return the error for a value that is wrong now and at every later try."""
    return HandlerError(f"handler {who!r}: {problem}", retryable=False)


def fits(value: object, chars: int) -> bool:
    """Whether a value is plain text without a doubt: short, and nothing in it to look at twice.

    What is printable has neither control characters nor halves of surrogate pairs.
    """
    return type(value) is str and len(value) <= chars and value.isprintable()


def text(value: object, field: str, *, who: str, chars: int, required: bool = False) -> str:
    """Return text as a plain `str`, also where it is of a subclass such as an enum's.

    Raises:
        HandlerError: it is no text, too long, empty where it must not be, or has characters that
            cannot be stored.
    """
    if not isinstance(value, str):
        raise refused(who, f"{field} is a {type(value).__name__}, not text")
    plain = str.__str__(value)
    if required and (not plain or plain.isspace()):
        raise refused(who, f"{field} is empty")
    if len(plain) > chars:
        raise refused(who, f"{field} has {len(plain)} characters; at most {chars}")
    if not plain.isprintable():
        for char in plain:
            if char < " " or "\x7f" <= char <= "\x9f":
                raise refused(who, f"{field} has a control character, U+{ord(char):04X}")
            if "\ud800" <= char <= "\udfff":
                raise refused(who, f"{field} has half a surrogate pair, U+{ord(char):04X}")
    return plain


def instant(value: object, field: str, *, who: str) -> int:
    """Return an instant in microseconds since the Unix epoch.

    Raises:
        HandlerError: it is no whole number, or out of range.
    """
    if not isinstance(value, int):
        raise refused(who, f"{field} is a {type(value).__name__}, not a whole number")
    if not 0 <= value <= LATEST_US:
        raise refused(who, f"{field} is out of range: 0 to {LATEST_US} microseconds")
    return int(value)


def checked(event: object, source: Event, *, who: str) -> Event:
    """Return an event that a handler made, or passes on; `source` is the one it handles.

    What is the source's own is in a log already and is not looked at again.

    Raises:
        HandlerError: something in it is of another type than declared, or breaks a rule.
    """
    if event is source:
        return source
    if not isinstance(event, Event):
        raise refused(who, f"a {type(event).__name__} where an event is wanted")
    event = _with_plain_texts(event, who)
    if type(event.schema_version) is not int or not 1 <= event.schema_version <= _MAX_VERSION:
        raise refused(who, f"an event's schema_version is not from 1 to {_MAX_VERSION}")
    try:
        parse_time(text(event.time, "an event's time", who=who, chars=NAME_CHARS))
    except CodecError as err:
        raise refused(who, f"an event's time: {err}") from err
    if event.data is not source.data and event.data is not NULL:
        _check_raw(event.data, "data", who)
    if event.metadata is not source.metadata and event.metadata is not ABSENT:
        _check_raw(event.metadata, "metadata", who, object_only=True)
    if event.references is not source.references and event.references is not ABSENT:
        _check_raw(event.references, "references", who, object_only=True)
    return event


def _with_plain_texts(event: Event, who: str) -> Event:
    found = [getattr(event, name) for name in _TEXTS]
    if (
        all(type(value) is str for value in found)
        and all(map(le, map(len, found), _most_chars))
        and "".join(found).isprintable()
        and not (event.id.isspace() or event.type.isspace())
        and event.id
        and event.type
    ):
        return event
    plain = {
        name: text(
            getattr(event, name),
            f"an event's {name}",
            who=who,
            chars=chars,
            required=name in _REQUIRED,
        )
        for name, chars in _TEXTS.items()
    }
    return msgspec.structs.replace(event, **plain)


def _check_raw(value: object, field: str, who: str, *, object_only: bool = False) -> None:
    if not isinstance(value, msgspec.Raw):
        raise refused(who, f"an event's {field} is a {type(value).__name__}, not a msgspec.Raw")
    try:
        check_json(value)
    except UNENCODABLE as err:
        raise refused(who, f"an event's {field} is no JSON: {err}") from err
    if object_only and not bytes(value).lstrip().startswith(b"{"):
        raise refused(who, f"an event's {field} is no JSON object")
