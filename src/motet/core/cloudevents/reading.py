"""From CloudEvents to events."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from motet.core import documents
from motet.core.cloudevents.attributes import (
    BASE64,
    HTTP,
    JSON,
    NAMES,
    OCTETS,
    RESERVED,
    Attribute,
    Binding,
    from_header,
    is_json,
    is_name,
    is_text,
)
from motet.core.documents import Document
from motet.core.envelope import Rules, Unchecked
from motet.core.errors import CodecError
from motet.core.event import ABSENT, NULL, Event

_NAMES_BY_SUBJECT = {**NAMES, "key": "subject"}
_REQUIRED = ("specversion", "id", "source", "type")
_MISSING = "it is required and missing"
_BAD_NAME = "the name of an attribute is lower-case letters and digits"
_OWN = RESERVED - {"metadata", "references"}
_VERSION_AT_END = re.compile(r"/v([1-9][0-9]{0,8})/?\Z", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,10}", re.ASCII)
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?(?!utf-?8\b|us-ascii\b)", re.IGNORECASE)
_ATTRIBUTE_PATH = re.compile(r"\$\.([a-z0-9]+)")

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class _Data(NamedTuple):
    text: msgspec.Raw  # the payload
    value: object  # what it means
    base64: bool = False  # whether it is base 64 of other bytes


_NO_DATA = _Data(NULL, None)


def from_document(document: Document, rules: Rules) -> Event:
    """Return a CloudEvent in structured mode (JSON format).

    Raises:
        CodecError: it breaks the specification or our limits.
    """
    found = document.value
    if not isinstance(found, dict):
        raise CodecError("a CloudEvent is a JSON object", where="$")
    if "specversion" not in found:
        raise CodecError(_MISSING, where="$.specversion")
    attributes: dict[str, Attribute] = {}
    for name, value in found.items():
        if name in ("data", BASE64) or value is None:
            continue
        where = f"${documents.step(name)}"
        if not is_name(name):
            raise CodecError(_BAD_NAME, where=where)
        attributes[name] = _attribute(value, where)
    return _event(attributes, _structured_data(document, found, attributes, rules), rules)


def from_binary(
    headers: Mapping[str, str], body: bytes, rules: Rules, *, binding: Binding = HTTP
) -> Event:
    """Return a CloudEvent in binary mode. Header names are taken in any case.

    Raises:
        CodecError: it breaks the specification or our limits; `where` names a header, or is
            a path that starts with `$.data`, or a byte position in the body.
    """
    attributes = _header_attributes(headers, binding)
    data = _binary_data(body, str(attributes.get("datacontenttype", JSON)), rules)
    try:
        return _event(attributes, data, rules)
    except CodecError as err:
        if (path := _ATTRIBUTE_PATH.fullmatch(err.where)) and path[1] != "data":
            err.where = f"header {binding.prefix}{path[1]}"
        raise


def _attribute(value: object, where: str) -> Attribute:
    if isinstance(value, str | bool) or (isinstance(value, int) and -(2**31) <= value < 2**31):
        return value
    raise CodecError("an attribute is text, a boolean or an integer of 32 bits", where=where)


def _header_attributes(headers: Mapping[str, str], binding: Binding) -> dict[str, Attribute]:
    plain = msgspec.structs.replace(binding, percent=False)
    attributes: dict[str, Attribute] = {}
    for header, text in headers.items():
        lowered = header.lower()
        if lowered == binding.content_type:
            name, value = "datacontenttype", _header(lowered, text, plain)
        elif lowered.startswith(binding.prefix.lower()):
            name, value = lowered[len(binding.prefix) :], _header(lowered, text, binding)
        else:
            continue
        if not is_name(name) or name == "data":
            raise CodecError(_BAD_NAME, where=f"header {lowered}")
        if name in attributes:
            raise CodecError("it is there twice", where=f"header {lowered}")
        attributes[name] = value
    return attributes


def _header(name: str, text: str, binding: Binding) -> str:
    try:
        return from_header(text, binding)
    except CodecError as err:
        err.where = f"header {name}"
        raise


def _structured_data(
    document: Document,
    found: dict[str, object],
    attributes: Mapping[str, Attribute],
    rules: Rules,
) -> _Data:
    encoded = found.get(BASE64)
    if encoded is None:
        if found.get("data") is None:
            return _NO_DATA
        return _Data(_members(document.text)["data"], found["data"])
    if found.get("data") is not None:
        raise CodecError("there is data as well; give one of them", where=f"$.{BASE64}")
    if not isinstance(encoded, str):
        raise CodecError("expected base 64 as a string", where=f"$.{BASE64}")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as err:
        raise CodecError(f"not base 64: {err}", where=f"$.{BASE64}") from err
    content_type = str(attributes.get("datacontenttype", ""))
    if is_json(content_type):
        return _json(raw, rules)
    return _bytes(raw)


def _binary_data(body: bytes, content_type: str, rules: Rules) -> _Data:
    if not body:
        return _NO_DATA
    if is_json(content_type):
        return _json(body, rules)
    if is_text(content_type) and not _CHARSET.search(content_type):
        try:
            text = body.decode()
            return _Data(msgspec.Raw(_encode(text)), text)
        except UnicodeDecodeError:
            pass  # its charset is not said and not UTF-8: bytes, then
    return _bytes(body)


def _bytes(raw: bytes) -> _Data:
    encoded = base64.b64encode(raw).decode()
    return _Data(msgspec.Raw(_encode(encoded)), encoded, base64=True)


def _json(text: bytes, rules: Rules) -> _Data:
    try:
        document = documents.parse(text, depth=rules.limits.depth)
    except CodecError as err:
        if err.where.startswith("$"):
            err.where = "$.data" + err.where[1:]
        raise
    return _Data(msgspec.Raw(document.text), document.value)


def _event(attributes: dict[str, Attribute], data: _Data, rules: Rules) -> Event:
    for name in _REQUIRED:
        if name not in attributes:
            raise CodecError(_MISSING, where=f"$.{name}")
    if attributes["specversion"] != "1.0":
        raise CodecError(
            f"specversion is {attributes['specversion']!r}; '1.0' is read here",
            where="$.specversion",
        )
    schema = _text(attributes, "dataschema")
    partition_key, subject = _text(attributes, "partitionkey"), _text(attributes, "subject")
    metadata, references = _metadata(attributes, data)
    given = Unchecked(
        id=_text(attributes, "id"),
        type=_text(attributes, "type"),
        time=_text(attributes, "time"),
        key=partition_key or subject,
        source=_text(attributes, "source"),
        schema_version=_version(attributes.get("dataversion"), schema or ""),
        schema=schema,
        correlation_id=_text(attributes, "correlationid"),
        causation_id=_text(attributes, "causationid"),
        data=data.text,
        metadata=metadata,
        references=references,
    )
    if not given.source:
        raise CodecError("it is empty", where="$.source")
    return rules.event(given, data.value, NAMES if partition_key else _NAMES_BY_SUBJECT)


def _text(attributes: Mapping[str, Attribute], name: str) -> str | None:
    value = attributes.get(name)
    if value is None or isinstance(value, str):
        return value
    raise CodecError(f"expected text, found {str(value).lower()}", where=f"$.{name}")


def _version(given: Attribute | None, schema: str) -> int:
    if given is None:
        at_end = _VERSION_AT_END.search(schema)
        return int(at_end[1]) if at_end else 1
    if isinstance(given, str) and _DIGITS.fullmatch(given):
        return int(given)
    if isinstance(given, bool | str):
        raise CodecError(f"expected an integer, found {given!r}", where="$.dataversion")
    return given


def _metadata(attributes: dict[str, Attribute], data: _Data) -> tuple[msgspec.Raw, msgspec.Raw]:
    """Return `metadata` and `references`: what the envelope has no field for."""
    extensions = {name: value for name, value in attributes.items() if name not in _OWN}
    references = _object(extensions.get("references"))
    metadata: dict[str, object] = {}
    if (rest := _object(extensions.get("metadata"))) is not ABSENT:
        del extensions["metadata"]
        metadata.update(_members(rest))
    if references is not ABSENT:
        del extensions["references"]
    metadata.update(extensions)
    subject = attributes.get("subject")
    session = data.value.get("sessionId") if isinstance(data.value, dict) else None
    if subject is not None and subject != session:
        metadata["subject"] = subject
    content_type = attributes.get("datacontenttype", OCTETS if data.base64 else JSON)
    if content_type != JSON:
        metadata["datacontenttype"] = content_type
    if data.base64:
        metadata[BASE64] = True
    return msgspec.Raw(_encode(metadata)) if metadata or rest is not ABSENT else ABSENT, references


def _object(value: Attribute | None) -> msgspec.Raw:
    """Return the JSON object that an attribute's text is; ABSENT if it is none."""
    if not isinstance(value, str) or not value.startswith("{"):
        return ABSENT
    try:
        return msgspec.Raw(documents.parse(value.encode()).text)
    except (CodecError, UnicodeError):
        return ABSENT
