"""JSON as PostgreSQL's `jsonb` takes it."""

import re

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_HUGE = re.compile(rb"[eE]\+?\d{4}")  # beyond what a numeric holds, or what one would want it to

UNQUERYABLE = '{"unqueryable": true}'
"""Instead of a document that `jsonb` cannot hold; the bytes are kept beside it."""


def queryable(value: bytes) -> str:
    r"""Return a JSON text for queries; the very bytes have to be kept elsewhere.

    `jsonb` has no `\u0000`, which becomes U+FFFD here, and its numbers have an end.
    """
    if b"\\u0000" in value:
        value = _NUL.sub(rb"\1\\ufffd", value)
    return UNQUERYABLE if _HUGE.search(value) else value.decode()
