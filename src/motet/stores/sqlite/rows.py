"""Values of a row as the types they were written as."""

from typing import TypeVar

import msgspec

from motet.core.clock import parse_time
from motet.core.errors import CodecError
from motet.drivers.sqlite import Value

T = TypeVar("T")


def text(value: Value) -> str:
    """Return a column that should be text; NULL is empty."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def whole(value: Value) -> int:
    """Return a column that should be an integer; anything else is 0."""
    return value if isinstance(value, int) else 0


def blob(value: Value) -> bytes:
    """Return a column as bytes."""
    return value if isinstance(value, bytes) else text(value).encode("utf-8", "surrogateescape")


def instant_us(value: Value) -> int:
    """Return a column that should be RFC 3339 text as microseconds; anything else is 0."""
    try:
        return parse_time(text(value))
    except CodecError:
        return 0


def json(value: Value, type: type[T], *, default: T) -> T:
    """Return a column of JSON; `default` where it is something else: people write here too."""
    try:
        return msgspec.json.decode(blob(value), type=type)
    except msgspec.MsgspecError:
        return default
