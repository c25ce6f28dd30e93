"""The HTTP API, from the OpenAPI document that the server serves."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec

import motet.server
from motet.core.clock import SystemClock
from motet.server import Services
from motet.server.api import operations_of
from motet.server.openapi import document
from motet.stores.memory import MemoryLog, MemoryStore
from motet.transports.memory import MemoryTransport
from scripts.reference.source import code, fields, table

_KINDS = {
    "no-json": ("400", "the body of a redrive or an archive is no JSON"),
    "refused-events": (
        "400, 422",
        "items of the request are no events (422: they are JSON); `errors` names each, and the "
        "place in it",
    ),
    "not-found": ("404", "there is no such topic, partition or dead letter"),
    "too-many-items": ("413", "more events than one request may have"),
    "too-many-topics": ("422", "the topic is not there, and a request may create no more of them"),
    "wrong-parameter": ("422", "a parameter or a field is not as it should be; `errors` names it"),
    "queue-full": (
        "429",
        "too much is waiting, and nothing was taken; send the same again after `Retry-After` "
        "seconds",
    ),
    "not-ready": ("503", "`/readyz`: `errors` names what is not ready, and why"),
    "unavailable": (
        "503",
        "the log or the database does not work for now, and nothing was changed; try again after "
        "`Retry-After` seconds",
    ),
}
_BOUNDS = {"minimum": "from", "maximum": "to"}
_LARGEST = 2**63 - 1


def _described() -> dict[str, Any]:
    log = MemoryLog(SystemClock())
    services = Services(transport=MemoryTransport(log), store=MemoryStore(log))
    return document(operations_of(services))


def _operations() -> str:
    operations = [
        (method.upper(), path, operation)
        for path, methods in _described()["paths"].items()
        for method, operation in methods.items()
    ]
    listed = [
        (f"[`{method} {path}`](#{_anchor(method, path)})", operation["summary"])
        for method, path, operation in operations
    ]
    sections = [_operation(*each) for each in operations]
    return "\n\n".join([table(("operation", "what it does"), listed), *sections])


def _anchor(method: str, path: str) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", f"{method} {path}".lower()).replace(" ", "-")


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    lines = [f"## {method} {path}", "", operation["summary"]]
    if parameters := operation.get("parameters"):
        lines += ["", table(("parameter", "in", "type"), map(_parameter, parameters))]
    if body := operation.get("requestBody"):
        lines += ["", "Body:", ""]
        lines += [f"- `{kind}`: {_type(it['schema'])}" for kind, it in body["content"].items()]
    answers = operation["responses"].items()
    lines += ["", "Answers:", ""]
    lines += [f"- {_answer(status, each)}" for status, each in answers if status != "default"]
    return "\n".join(lines)


def _parameter(parameter: Mapping[str, Any]) -> Sequence[str]:
    return code(parameter["name"]), parameter["in"], _type(parameter["schema"])


def _answer(status: str, response: Mapping[str, Any]) -> str:
    said = f"{status} {HTTPStatus(int(status)).phrase}"
    ((kind, content),) = response["content"].items()
    if kind.startswith("application/problem"):
        return said
    return f"{said}: {_type(content['schema']) if 'schema' in content else code(kind)}"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[`{name}`](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(code(str(value)) for value in schema["enum"])
    kind = str(schema.get("type", schema.get("description", "any JSON value")))
    if kind == "array" and "items" in schema:
        return f"array of {_type(schema['items'])}"
    if "specversion" in schema.get("properties", {}):
        return "CloudEvent in structured mode"
    bounds = [
        f"{word} {schema[name]}"
        for name, word in _BOUNDS.items()
        if name in schema and schema[name] != _LARGEST
    ]
    default = schema.get("default")
    return ", ".join([kind, *bounds, *([f"default {default}"] if default else [])])


def _schemas() -> str:
    schemas = _described()["components"]["schemas"]
    return "\n\n".join(_schema(name, schema) for name, schema in sorted(schemas.items()))


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    lines = [f"### {name}", ""]
    if schema.get("description"):
        lines += [" ".join(schema["description"].split()), ""]
    if "enum" in schema:
        return "\n".join([*lines, _type(schema)])
    comments = _comments(name)
    required = schema.get("required", ())
    rows = [
        (
            code(member),
            _type(kind),
            "yes" if member in required else "",
            comments.get(member) or (kind.get("description", "") if "type" in kind else ""),
        )
        for member, kind in schema["properties"].items()
    ]
    return "\n".join([*lines, table(("member", "type", "always there", "what it is"), rows)])


def _comments(name: str) -> dict[str, str]:
    for cls in _structs(msgspec.Struct):
        if cls.__name__ == name and cls.__module__.startswith("motet."):
            return {field.name: field.comment for field in fields(cls)}
    return {}


def _structs(cls: type) -> list[type]:
    return [found for sub in cls.__subclasses__() for found in (sub, *_structs(sub))]


def _problems() -> str:
    folder = Path(motet.server.__file__).parent
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    raised = set(re.findall(r'(?:kind="|_KINDS \+ ")([a-z-]+)"', text))
    assert raised == set(_KINDS), "say in _KINDS what each kind of problem means, and no others"
    rows = [(code(kind), status, said) for kind, (status, said) in _KINDS.items()]
    return table(("kind", "status", "when"), rows)


PARTS = {"operations": _operations, "schemas": _schemas, "problems": _problems}
