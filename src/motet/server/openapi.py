"""The OpenAPI 3.1 document, made from the operations and their Structs."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TypeAlias

import msgspec

import motet
from motet.server.operations import Operation
from motet.server.problems import MEDIA_TYPE, Problem
from motet.server.views import EventEnvelope

Schema: TypeAlias = Mapping[str, object]

_REF = "#/components/schemas/{name}"
_PROBLEM: Schema = {"$ref": _REF.format(name="Problem")}


def document(operations: Sequence[Operation]) -> dict[str, object]:
    """Return the document as plain values, ready to be encoded as JSON."""
    kinds: list[type[msgspec.Struct]] = [Problem, EventEnvelope]
    for operation in operations:
        kinds += [kind for kind in (operation.body, operation.answer) if kind is not None]
    _, components = msgspec.json.schema_components(
        dict.fromkeys(kinds), schema_hook=_any, ref_template=_REF
    )
    paths: dict[str, dict[str, object]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Motet",
            "version": motet.__version__,
            "description": "Publish events, and see what becomes of them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _any(kind: type) -> dict[str, object]:
    if kind is object:
        return {"description": "any JSON value"}  # msgspec takes an empty schema for none
    raise NotImplementedError(f"{kind} has no JSON Schema")


def _operation(operation: Operation) -> dict[str, object]:
    described: dict[str, object] = {
        "operationId": _name(operation),
        "summary": operation.summary,
        "responses": _responses(operation),
    }
    if parameters := _parameters(operation):
        described["parameters"] = parameters
    bodies = dict(operation.bodies)
    if operation.body is not None:
        bodies["application/json"] = {"$ref": _REF.format(name=operation.body.__name__)}
    if bodies:
        content = {media_type: {"schema": schema} for media_type, schema in bodies.items()}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _name(operation: Operation) -> str:
    words = re.findall(r"[a-z]+", operation.path.removeprefix("/v1"))
    return "_".join([operation.method.lower(), *words])


def _parameters(operation: Operation) -> list[Schema]:
    found: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    if operation.query is not None:
        (_, schemas) = msgspec.json.schema_components([operation.query], ref_template=_REF)
        properties = schemas[operation.query.__name__]["properties"]
        found += [
            {"name": name, "in": "query", "schema": _inlined(schema, schemas)}
            for name, schema in properties.items()
        ]
    return found


def _inlined(schema: object, schemas: Mapping[str, Schema]) -> object:
    # A parameter's own types, such as an enum, are few and small: no component is made of them.
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            return schemas[str(schema["$ref"]).rpartition("/")[2]]
        return {name: _inlined(inner, schemas) for name, inner in schema.items()}
    if isinstance(schema, list):
        return [_inlined(inner, schemas) for inner in schema]
    return schema


def _responses(operation: Operation) -> dict[str, object]:
    shape: Schema = {}
    if operation.answer is not None:
        shape = {"schema": {"$ref": _REF.format(name=operation.answer.__name__)}}
    responses: dict[str, object] = {
        str(operation.status): {
            "description": HTTPStatus(operation.status).phrase,
            "content": {operation.media_type: shape},
        }
    }
    for status in operation.problems:
        responses[str(status)] = _problem(status)
    responses["default"] = {
        "description": "What went wrong",
        "content": {MEDIA_TYPE: {"schema": _PROBLEM}},
    }
    return responses


def _problem(status: int) -> dict[str, object]:
    described: dict[str, object] = {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": _PROBLEM}},
    }
    if status in (429, 503):
        schema = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        described["headers"] = {"Retry-After": schema}
    return described
