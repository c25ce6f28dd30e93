"""Errors as RFC 9457 problem details: one shape for every answer that is not a success."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from motet.core.errors import BacklogFull, TransientError

MEDIA_TYPE = "application/problem+json"

_KINDS = "urn:motet:problem:"
_PARAMETERS = "; charset=utf-8"


class Item(msgspec.Struct, frozen=True):
    """One refused item of a request."""

    index: int  # 0-based place in the request; line number - 1 in JSON lines; -1: the whole
    field: str  # JSON path of what is wrong, such as $.payload.total; empty: the whole item
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem details object (RFC 9457); `errors` is ours and names every refused item."""

    title: str
    status: int
    type: str = "about:blank"
    detail: str = ""
    errors: tuple[Item, ...] = ()


class ProblemError(HTTPException):
    """A request that cannot be answered as asked; nothing was changed.

    `kind` is a short stable name for scripts, the last part of the problem's `type`.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        errors: Sequence[Item] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.problem = Problem(
            title=_title(kind) if kind else HTTPStatus(status).phrase,
            status=status,
            type=_KINDS + kind if kind else "about:blank",
            detail=detail,
            errors=tuple(errors),
        )


def _title(kind: str) -> str:
    return kind.replace("-", " ").capitalize()


def queue_full(detail: str, retry_after_s: float) -> ProblemError:
    """Return the answer to a sender who is to wait; nothing was appended."""
    return ProblemError(429, detail, kind="queue-full", headers=_wait(retry_after_s))


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem as a response."""
    return Response(
        msgspec.json.encode(problem), problem.status, dict(headers or {}), media_type=MEDIA_TYPE
    )


async def on_http(request: Request, error: Exception) -> Response:
    """Answer what the router or an endpoint raised."""
    assert isinstance(error, HTTPException)
    if isinstance(error, ProblemError):
        return answer(error.problem, error.headers)
    phrase = HTTPStatus(error.status_code).phrase
    detail = {
        404: f"There is nothing at {request.url.path[:200]}; / lists what there is.",
        405: f"{request.method} is not offered here; the Allow header says what is.",
    }.get(error.status_code, error.detail)
    problem = Problem(title=phrase, status=error.status_code, detail=detail)
    return answer(problem, error.headers)


async def on_transient(request: Request, error: Exception) -> Response:
    """Answer for a log or database that does not work for now, or has enough waiting."""
    assert isinstance(error, TransientError)
    if isinstance(error, BacklogFull):
        return await on_http(request, queue_full(str(error), error.retry_after_s))
    problem = Problem(
        title="Unavailable",
        status=503,
        type=_KINDS + "unavailable",
        detail=f"{error}; nothing was changed, try again.",
    )
    return answer(problem, _wait(1.0))


async def on_gone(request: Request, error: Exception) -> Response:
    """End a request whose sender went away before its body was here; nobody reads this."""
    return answer(Problem(title="Bad Request", status=400, detail="The body ended early."))


async def on_bug(request: Request, error: Exception) -> Response:
    """Answer for a defect of ours; the traceback is in the log."""
    problem = Problem(
        title="Internal Server Error",
        status=500,
        detail=f"{type(error).__name__}: the log of this process has the traceback.",
    )
    return answer(problem)


def _wait(delay_s: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(delay_s)))}
