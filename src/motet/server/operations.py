"""What the HTTP side offers, as data: the router and the OpenAPI document are both made from it."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from motet.server.problems import Item, ProblemError

S = TypeVar("S", bound=msgspec.Struct)


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path."""

    method: str
    path: str  # with {names} of path parameters
    endpoint: ASGIApp
    summary: str
    query: type[msgspec.Struct] | None = None  # each field is a query parameter
    body: type[msgspec.Struct] | None = None  # of a JSON body
    bodies: Mapping[str, Mapping[str, object]] = {}  # JSON Schema by content type, if not `body`
    answer: type[msgspec.Struct] | None = None  # None: not JSON, or JSON of no fixed shape
    media_type: str = "application/json"  # of the answer
    status: int = 200  # of a success
    problems: tuple[int, ...] = ()  # statuses a correct client should expect


def as_json(value: object, status: int = 200) -> Response:
    """Return a value as a JSON response."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def parse_query(request: Request, kind: type[S]) -> S:
    """Return the query parameters as `kind`.

    Raises:
        ProblemError: 422, with the parameter at fault.
    """
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    for name in names:
        if names.count(name) > 1:
            raise _at(f"?{name}", "is given more than once")
    try:
        return msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as err:
        raise _at("?", str(err)) from err


async def parse_body(request: Request, kind: type[S]) -> S:
    """Return a small JSON body as `kind`.

    Raises:
        ProblemError: 400 no JSON, 413 more than a megabyte, 415 other content, 422 wrong fields.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        raise ProblemError(415, f"The content type is {given!r}; send application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST:
            raise ProblemError(
                413, f"This body may have {_LARGEST} bytes.", headers={"Connection": "close"}
            )
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as err:
        raise _at("$", str(err)) from err
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise ProblemError(400, f"The body is no JSON: {err}.", kind="no-json") from err


_LARGEST = 2**20


def _at(field: str, detail: str) -> ProblemError:
    # msgspec ends its message with the path of the field at fault: "... - at `$.ids[0]`".
    message, _, path = detail.partition(" - at `$")
    where = path.rstrip("`") if field == "$" else path.rstrip("`").lstrip(".")
    return ProblemError(
        422,
        "A parameter is not as it should be.",
        kind="wrong-parameter",
        errors=(Item(index=-1, field=field + where, detail=message),),
    )
