"""Names and forms of CloudEvents attributes, shared by reading and writing."""

import re
from collections.abc import Mapping
from typing import TypeGuard
from urllib.parse import quote, unquote_to_bytes

import msgspec

from motet.core.envelope import WIRE
from motet.core.errors import CodecError

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
JSON = "application/json"
OCTETS = "application/octet-stream"

Attribute = str | int | bool

NAMES: Mapping[str, str] = {
    **WIRE,
    "id": "id",
    "type": "type",
    "time": "time",
    "key": "partitionkey",
    "schema_version": "dataversion",
    "schema": "dataschema",
    "correlation_id": "correlationid",
    "causation_id": "causationid",
    "data": "data",
}
"""Names in CloudEvents by attribute of `Event`."""

RESERVED = frozenset(NAMES.values()) | {
    "datacontenttype",
    "metadata",
    "references",
    "specversion",
    "subject",
}
"""Names that no other member of `metadata` can have as an extension attribute."""

BASE64 = "data_base64"
"""Member of the JSON format, and of `metadata` where the payload is base 64. No attribute has an
underscore in its name, so nothing else can be meant."""

NAME_CHARS = 20
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME = re.compile(r"[a-z0-9]+")
_JSON_TYPE = re.compile(r"(application|text)/json|[\w.+-]+/[\w.+-]*\+json", re.IGNORECASE)
_TEXT_TYPE = re.compile(r"text/.*|[\w.+-]+/([\w.+-]*\+)?xml", re.IGNORECASE)
_QUOTED = re.compile(r'"(.*)"', re.DOTALL)
_NOT_QUOTED = "!#$&'()*+,/:;<=>?@[\\]^`{|}~"  # with letters, digits and _.-~: printable ASCII


class Binding(msgspec.Struct, frozen=True):
    """How a transport's headers carry attributes."""

    prefix: str  # before each name
    content_type: str = "content-type"  # the header that holds datacontenttype
    percent: bool = False  # whether values are percent-encoded


HTTP = Binding("ce-", percent=True)
KAFKA = Binding("ce_")
AMQP = Binding("cloudEvents_")
AMQP_COLON = Binding("cloudEvents:")  # read, never written: some clients take no colon in a name


def is_name(name: str) -> bool:
    """Whether an attribute may be called so. Writers should stay within `NAME_CHARS`."""
    return _NAME.fullmatch(name) is not None


def is_attribute(value: object) -> TypeGuard[Attribute]:
    """Whether an extension attribute can have this value."""
    if isinstance(value, str):
        return bool(value) and not CONTROL.search(value)
    return isinstance(value, int) and -(2**31) <= value < 2**31


def is_json(content_type: str) -> bool:
    """Whether a content type, parameters or not, says JSON."""
    return _JSON_TYPE.fullmatch(content_type.partition(";")[0].strip()) is not None


def is_text(content_type: str) -> bool:
    """Whether a content type, parameters or not, says text."""
    return _TEXT_TYPE.fullmatch(content_type.partition(";")[0].strip()) is not None


def to_header(value: Attribute, binding: Binding) -> str:
    """Return an attribute's value as the text of a header."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return quote(text, safe=_NOT_QUOTED) if binding.percent else text


def from_header(text: str, binding: Binding) -> str:
    """Return the value that a header's text stands for.

    Raises:
        CodecError: it is not text, once decoded.
    """
    try:
        if not binding.percent:
            return text.encode().decode()
        if quoted := _QUOTED.fullmatch(text):
            text = re.sub(r"\\(.)", r"\1", quoted[1])
        return unquote_to_bytes(text).decode()
    except (UnicodeDecodeError, UnicodeEncodeError) as err:
        raise CodecError(f"not UTF-8: {err.reason}") from err
