import re
from collections.abc import Iterator

import pytest
from starlette.routing import Route

from motet.server import Services, api


@pytest.fixture
async def document(site) -> dict:
    answer = await site.client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def operations(document: dict) -> Iterator[tuple[str, str, dict]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_document_has_the_shape_of_openapi_3_1(document) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"].keys() >= {"title", "version"}
    for path, method, operation in operations(document):
        assert path.startswith("/")
        assert method in {"get", "post"}
        assert operation["summary"]
        assert operation["responses"]
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[2-5][0-9]{2}|default", status)
            assert response["description"]
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] in {"path", "query"}
            assert parameter["schema"]


def test_every_route_is_in_the_document(document, site) -> None:
    backend = Services(transport=site.transport, store=site.store)
    routed = {
        (route.path, method.lower())
        for route in api(backend).routes
        if isinstance(route, Route) and route.path != "/openapi.json"
        for method in route.methods
        if method != "HEAD"
    }

    assert {(path, method) for path, method, _ in operations(document)} == routed


def test_every_reference_leads_to_a_schema(document) -> None:
    for reference in references(document):
        assert reference.rpartition("/")[0] == "#/components/schemas"
        assert reference.rpartition("/")[2] in document["components"]["schemas"]


def test_every_path_parameter_is_declared(document) -> None:
    for path, _, operation in operations(document):
        declared = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path))


def test_operation_ids_are_unique(document) -> None:
    ids = [operation["operationId"] for *_, operation in operations(document)]

    assert len(set(ids)) == len(ids)


def test_errors_are_described_as_problems(document) -> None:
    for *_, operation in operations(document):
        content = operation["responses"]["default"]["content"]
        assert "application/problem+json" in content


def test_an_event_has_the_names_of_the_article(document) -> None:
    envelope = document["components"]["schemas"]["EventEnvelope"]

    assert envelope["required"] == ["eventType"]
    assert envelope["properties"].keys() >= {
        "eventId",
        "eventType",
        "timestamp",
        "correlationId",
        "causationId",
        "version",
        "schema",
        "payload",
        "metadata",
        "references",
    }
