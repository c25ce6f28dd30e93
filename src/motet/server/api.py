"""The HTTP side put together: every operation behind one ASGI application."""

from collections.abc import Mapping

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from motet.core.clock import SystemClock
from motet.core.errors import TransientError
from motet.core.ports import Clock, Store, Transport
from motet.server import problems
from motet.server.backlog import Backlog
from motet.server.decoding import Decoder
from motet.server.gate import Gate
from motet.server.health import Check, Health
from motet.server.limits import Limits
from motet.server.openapi import document
from motet.server.operations import Operation
from motet.server.operators import Operators
from motet.server.publishing import Publishing
from motet.telemetry import Metrics, Readers


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the HTTP side works on."""

    transport: Transport
    store: Store
    clock: Clock = msgspec.field(default_factory=SystemClock)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    readers: Readers = {}  # the groups each topic is read by; those alone hold up a backlog
    checks: Mapping[str, Check] = {}  # of readiness, beside the log's own
    limits: Limits = Limits()


def api(services: Services) -> Starlette:
    """Return the application; it starts nothing and holds no connection."""
    operations = operations_of(services)
    described = msgspec.json.encode(document(operations))

    async def openapi(request: Request) -> Response:
        return Response(described, media_type="application/json")

    app = Starlette(
        routes=[*_routes(operations), Route("/openapi.json", openapi)],
        exception_handlers={
            HTTPException: problems.on_http,
            TransientError: problems.on_transient,
            ClientDisconnect: problems.on_gone,
            Exception: problems.on_bug,
        },
    )
    app.router.redirect_slashes = False  # a sender of events does not follow redirects
    return app


def operations_of(services: Services) -> tuple[Operation, ...]:
    """Return every operation, the most used first."""
    transport, store, readers = services.transport, services.store, services.readers
    backlog = Backlog(transport, store, services.clock, readers=readers)
    publishing = Publishing(
        transport,
        store,
        Gate(services.limits, backlog),
        Decoder(services.clock, events_per_request=services.limits.events_per_request),
        services.metrics,
    )
    operators = Operators(transport, store, services.clock, readers=readers)
    health = Health(transport, store, services.metrics, readers=readers, checks=services.checks)
    return (*publishing.operations(), *operators.operations(), *health.operations())


def _routes(operations: tuple[Operation, ...]) -> list[Route]:
    by_path: dict[str, dict[str, ASGIApp]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation.endpoint
    return [Route(path, _Methods(found), methods=[*found]) for path, found in by_path.items()]


class _Methods:
    """One path's operations: one route each, so that a wrong method is told all that are right."""

    def __init__(self, by_method: Mapping[str, ASGIApp]) -> None:
        self._by_method = {**by_method}
        if "GET" in by_method:
            self._by_method["HEAD"] = by_method["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._by_method[scope["method"]](scope, receive, send)
