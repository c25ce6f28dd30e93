r"""JSON from outside, checked whole: what a lenient decoder passes over, and where it is.

msgspec skips over the inside of a `Raw` member, and lets the last of two equal names win. So
`parse` decodes the whole text once, encodes it again and compares. A Python dict has each name
once, so where both texts have the same members, no name was there twice:

- the texts, without white space, are the same bytes; or
- each has `":` equally often. In compact JSON those two bytes end a name, or stand inside a
  string, where both texts have them alike unless the quote or the colon was written as an
  escape (`\u0022`, `\u003a`). A name there twice is there once in the second text, so it has
  fewer. (The usual reasons to come here: `19.90` became `19.9`, or `\u00e9` became a letter.)

What neither test settles is read again by the standard library, which calls back for each
object and each number: some thirty times slower, and it knows the path of what is wrong.
"""

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from motet.core.errors import CodecError

DEPTH = 100
"""How many arrays and objects may lie inside one another, unless told otherwise."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_BOM = b"\xef\xbb\xbf"
_STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INT_DIGITS = 4300  # the longest integer that Python and msgspec read


class Document(NamedTuple):
    """A JSON text that holds no surprises."""

    text: bytes  # every token as it came, no white space between them
    value: object  # what it means: dict, list, str, int, float, bool or None


def parse(value: bytes, *, depth: int = DEPTH) -> Document:
    """Return a JSON text and its value.

    Raises:
        CodecError: it is not UTF-8 or not JSON, has a name twice in one object, a number that
            does not fit, half a surrogate pair, or more than `depth` levels.
    """
    try:
        found = _decode(value)
        text = msgspec.json.format(value, indent=-1)
        again = _encode(found)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as err:
        raise (fault(value, depth=depth) or CodecError(f"not JSON: {err}", value=value)) from err
    if (text == again or _same_members(text, again)) and _shallow(text, found, depth):
        return Document(text, found)
    if error := fault(value, depth=depth):
        raise error
    return Document(text, found)


def _same_members(text: bytes, again: bytes) -> bool:
    return (
        text.count(b'":') == again.count(b'":') and b"\\u0022" not in text and b"\\u003" not in text
    )


def _shallow(text: bytes, found: object, depth: int) -> bool:
    if text.count(b"{") + text.count(b"[") <= depth:
        return True
    level = _containers([found])
    for _ in range(depth):
        level = _containers(
            part
            for whole in level
            for part in (whole.values() if isinstance(whole, dict) else whole)
        )
    return not level


def _containers(values: Iterable[object]) -> list[dict[str, object] | list[object]]:
    return [value for value in values if isinstance(value, dict | list)]


def fault(value: bytes, *, depth: int = DEPTH) -> CodecError | None:
    """Return what is wrong with a JSON text and where; None if nothing is."""
    if value.startswith(_BOM):
        return CodecError(
            "JSON starts with a byte order mark: leave it out", where="byte 0", value=value
        )
    try:
        text = value.decode()
    except UnicodeDecodeError as err:
        return CodecError(
            f"not UTF-8: {value[err.start : err.end].hex(' ')} ({err.reason})",
            where=f"byte {err.start}",
            value=value,
        )
    if (at := _too_deep(value, depth)) is not None:
        return CodecError(
            f"more than {depth} arrays and objects inside one another",
            where=f"byte {at}",
            value=value,
        )
    try:
        found = _search(_PARSER.decode(text))
    except json.JSONDecodeError as err:
        at = len(text[: err.pos].encode())
        return CodecError(f"not JSON: {_reason(err, text)}", where=f"byte {at}", value=value)
    except RecursionError:
        return CodecError("nested more deeply than this program can read", value=value)
    if found is None:
        return None
    path, message = found
    return CodecError(message, where=f"${path}", value=value)


def _too_deep(value: bytes, depth: int) -> int | None:
    level = 0
    for match in _STRUCTURE.finditer(value):
        token = match[0]
        if token in (b"{", b"["):
            level += 1
            if level > depth:
                return match.start()
        elif token in (b"}", b"]"):
            level -= 1
    return None


def _reason(err: json.JSONDecodeError, text: str) -> str:
    if not text.strip():
        return "there is nothing"
    if err.pos >= len(text):
        return f"it ends too early ({err.msg.lower()})"
    return err.msg[0].lower() + err.msg[1:]


class _Bad(NamedTuple):
    message: str


class _Members(tuple[tuple[str, object], ...]):
    """An object with all its members, the repeated ones too."""

    __slots__ = ()


def _integer(digits: str) -> object:
    if len(digits.lstrip("-")) > _INT_DIGITS:
        return _Bad(f"an integer of {len(digits)} digits; at most {_INT_DIGITS}")
    return None


def _float(digits: str) -> object:
    if float(digits) in (float("inf"), float("-inf")):
        return _Bad(f"the number {digits[:40]} does not fit in 64 bits")
    return None


def _constant(name: str) -> object:
    return _Bad(f"{name} is not JSON")


_PARSER = json.JSONDecoder(
    object_pairs_hook=_Members,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)


def _search(value: object) -> tuple[str, str] | None:
    """Return path and message of the first fault in document order."""
    if isinstance(value, _Bad):
        return "", value.message
    if isinstance(value, str):
        return _half_pair(value)
    if isinstance(value, _Members):
        return _search_members(value)
    if isinstance(value, list):
        for index, item in enumerate(value):
            if found := _search(item):
                return f"[{index}]{found[0]}", found[1]
    return None


def _search_members(members: _Members) -> tuple[str, str] | None:
    seen: set[str] = set()
    for name, value in members:
        found = _half_pair(name)
        if found is None and name in seen:
            found = "", f"the name {name!r} is there twice in one object"
        found = found or _search(value)
        if found:
            return f"{step(name)}{found[0]}", found[1]
        seen.add(name)
    return None


def _half_pair(text: str) -> tuple[str, str] | None:
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as err:
        return "", f"half a surrogate pair: \\u{ord(text[err.start]):04x}"
    return None


def step(name: str) -> str:
    """Return the piece of a JSON path that leads to a member."""
    return f".{name}" if _NAME.fullmatch(name) else f"[{json.dumps(name)}]"
