r"""Text as PostgreSQL takes it: its `text` has no U+0000, its `jsonb` some other limits.

In names, U+0001 opens an escape: U+0001 U+0002 stands for U+0000, U+0001 U+0001 for itself. So
each name has one form in the database, and names without the two are stored as they are.
"""

import re
from collections.abc import Iterable

import msgspec

_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_HUGE = re.compile(rb"[eE][+-]?\d{4}|\d{4000}")  # a `numeric` ends a little further on

UNQUERYABLE = '{"unqueryable": true}'
"""Instead of a document that `jsonb` cannot hold."""


def storable(name: str) -> str:
    """Return a name as it is stored."""
    if "\0" in name or "\1" in name:
        return name.replace("\1", "\1\1").replace("\0", "\1\2")
    return name


def storable_all(names: Iterable[str]) -> list[str]:
    """Return names as they are stored."""
    return [storable(name) for name in names]


def original(name: str) -> str:
    """Return a stored name as it was."""
    if "\1" in name:
        return "\1".join(part.replace("\1\2", "\0") for part in name.split("\1\1"))
    return name


def queryable(value: bytes) -> str:
    r"""Return a JSON text for `jsonb`; the very bytes have to be kept elsewhere.

    U+0000 becomes U+FFFD. What is no JSON after all, or has numbers without end, is not there.
    """
    try:
        msgspec.json.decode(value)
    except _UNDECODABLE:
        return UNQUERYABLE
    if b"\\u0000" in value:
        value = _NUL.sub(rb"\1\\ufffd", value)
    return UNQUERYABLE if _HUGE.search(value) else value.decode()
