"""From events to CloudEvents."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from motet.core.cloudevents.attributes import (
    BASE64,
    CONTROL,
    HTTP,
    JSON,
    NAME_CHARS,
    NAMES,
    RESERVED,
    Attribute,
    Binding,
    is_attribute,
    is_json,
    is_name,
    to_header,
)
from motet.core.errors import CodecError
from motet.core.event import ABSENT, Event

_DEFAULT_SOURCE = "/motet"
_UNWRITABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_CHARSET = re.compile(r"\s*;\s*charset\s*=[^;]*", re.IGNORECASE)  # ours is UTF-8
_EMPTY, _TRUE = msgspec.Raw(b"{}"), msgspec.Raw(b"true")
_OPTIONAL = ("key", "schema", "correlation_id", "causation_id")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Parts(NamedTuple):
    attributes: dict[str, Attribute]
    data: msgspec.Raw | str | bytes | None  # JSON, text, other bytes, nothing


def to_structured(event: Event) -> bytes:
    """Return a CloudEvent in structured mode: one JSON object, `STRUCTURED`.

    Raises:
        CodecError: payload, metadata or references are not JSON, or a text is not Unicode.
    """
    try:
        attributes, data = _parts(event)
        members: dict[str, object] = {**attributes}
        if isinstance(data, bytes):
            members[BASE64] = base64.b64encode(data).decode()
        elif data is not None:
            members["data"] = data
        return _encode(members)
    except _UNWRITABLE as err:
        raise _unwritable(event, err) from err


def to_batched(events: Sequence[Event]) -> bytes:
    """Return CloudEvents in batched mode: one JSON array, `BATCHED`.

    Raises:
        CodecError: as for `to_structured`.
    """
    return b"[%b]" % b",".join(map(to_structured, events))


def to_binary(event: Event, *, binding: Binding = HTTP) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a CloudEvent in binary mode. Empty data is no data there.

    Raises:
        CodecError: as for `to_structured`.
    """
    try:
        attributes, data = _parts(event)
        content_type = str(attributes.pop("datacontenttype", ""))
        headers = {
            binding.prefix + name: to_header(value, binding) for name, value in attributes.items()
        }
        body = data.encode() if isinstance(data, str) else bytes(data or b"")
    except _UNWRITABLE as err:
        raise _unwritable(event, err) from err
    if content_type:
        utf_8 = isinstance(data, str)
        headers[binding.content_type] = _CHARSET.sub("", content_type) if utf_8 else content_type
    return headers, body


def _unwritable(event: Event, err: Exception) -> CodecError:
    return CodecError(f"event {event.id!r} cannot be a CloudEvent: {err}")


def _parts(event: Event) -> _Parts:
    payload = _decode(event.data)
    metadata: dict[str, msgspec.Raw] = {}
    if event.metadata is not ABSENT:
        _decode(event.metadata)  # all of it is JSON, so what follows will not fail
        metadata = _members(event.metadata)
    content_type, data = _content(event, payload, metadata)
    attributes: dict[str, Attribute] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source or _source(payload),
        "type": event.type,
        "time": event.time,
        "dataversion": event.schema_version,
    }
    for name in _OPTIONAL:
        if text := getattr(event, name):
            attributes[NAMES[name]] = text
    if content_type:
        attributes["datacontenttype"] = content_type
    _add_subject(attributes, payload, metadata)
    _add_extensions(attributes, event, metadata)
    return _Parts(attributes, data)


def _content(
    event: Event, payload: object, metadata: dict[str, msgspec.Raw]
) -> tuple[str, msgspec.Raw | str | bytes | None]:
    """Return content type and data, and take what they say out of `metadata`."""
    given = _text(metadata, "datacontenttype")
    if not given.isascii():
        given = ""  # no header could hold it
    if metadata.get(BASE64) == _TRUE and isinstance(payload, str) and given and not is_json(given):
        raw = _from_base64(payload)
        if raw is not None:
            del metadata[BASE64], metadata["datacontenttype"]
            return given, raw
    if is_json(given) and given != JSON:
        del metadata["datacontenttype"]
        return given, event.data
    if given and not is_json(given) and isinstance(payload, str):
        del metadata["datacontenttype"]
        return given, payload
    return ("", None) if payload is None else (JSON, event.data)


def _from_base64(text: str) -> bytes | None:
    """Return the bytes that a text is base 64 of, if it is the way we write them."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def _text(metadata: dict[str, msgspec.Raw], name: str) -> str:
    value = _decode(metadata[name]) if name in metadata else None
    return value if is_attribute(value) and isinstance(value, str) else ""


def _source(payload: object) -> str:
    agent = payload.get("agentId") if isinstance(payload, dict) else None
    return f"/agents/{quote(agent)}" if isinstance(agent, str) and agent else _DEFAULT_SOURCE


def _add_subject(
    attributes: dict[str, Attribute], payload: object, metadata: dict[str, msgspec.Raw]
) -> None:
    session = payload.get("sessionId") if isinstance(payload, dict) else None
    given = _text(metadata, "subject")
    if given and given != session:
        attributes["subject"] = given
        del metadata["subject"]
    elif isinstance(session, str) and is_attribute(session):
        attributes["subject"] = session


def _add_extensions(
    attributes: dict[str, Attribute], event: Event, metadata: dict[str, msgspec.Raw]
) -> None:
    rest: dict[str, msgspec.Raw] = {}
    for name, text in metadata.items():
        value = _decode(text)
        fits = len(name) <= NAME_CHARS and is_name(name) and name not in RESERVED
        if fits and is_attribute(value):
            attributes[name] = value
        else:
            rest[name] = text
    if rest or event.metadata == _EMPTY:
        attributes["metadata"] = _as_text(_encode(rest))
    if event.references is not ABSENT:
        attributes["references"] = _as_text(bytes(event.references))


def _as_text(json: bytes) -> str:
    """Return JSON as an attribute's value, which holds no control characters."""
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.decode())
