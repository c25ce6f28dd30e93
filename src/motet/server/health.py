"""Whether the process lives, is ready for work, and how it is doing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import request_response

import motet
from motet.core.errors import MotetError, TransientError
from motet.core.ports import Store, Transport
from motet.server import views
from motet.server.operations import Operation, as_json
from motet.server.problems import Item, ProblemError
from motet.telemetry import Metrics, Readers, depths, lags

Check = Callable[[], Awaitable[str]]
"""Says what is not ready, or "". Must be quick: it is asked every few seconds."""

_PATIENCE_S = 2.0  # for all checks together; an orchestrator gives up at about this time


class Health:
    """Endpoints for orchestrators and Prometheus."""

    def __init__(
        self,
        transport: Transport,
        store: Store,
        metrics: Metrics,
        *,
        readers: Readers,
        checks: Mapping[str, Check],
    ) -> None:
        self._transport = transport
        self._store = store
        self._metrics = metrics
        self._readers = readers
        self._checks = {"log": self._log, "store": self._write, **checks}

    async def alive(self, request: Request) -> Response:
        """Answer, which says that the event loop turns."""
        return as_json(views.Health("ok"))

    async def ready(self, request: Request) -> Response:
        """Ask every check; 503 and the reasons when one has any."""
        found = dict.fromkeys(self._checks, f"no answer within {_PATIENCE_S:g} s")
        try:
            async with asyncio.timeout(_PATIENCE_S):
                for name, check in self._checks.items():
                    found[name] = await _reason(check)
        except TimeoutError:
            pass  # the reasons say which did not answer
        reasons = [(name, reason) for name, reason in found.items() if reason]
        if reasons:
            raise ProblemError(
                503,
                f"Not ready: {', '.join(name for name, _ in reasons)}.",
                kind="not-ready",
                errors=[Item(at, name, reason) for at, (name, reason) in enumerate(reasons)],
            )
        return as_json(views.Health("ready", tuple(found)))

    async def _log(self) -> str:
        await self._transport.topics()
        return ""

    async def _write(self) -> str:
        # An order about nothing: it takes its turn as every write does, and changes nothing.
        await self._store.dead_letters.archive((), by="", notes="", now_us=0)
        return ""

    async def metrics(self, request: Request) -> Response:
        """Show the metrics; lag and depth are computed now."""
        try:
            topics, groups = await self._transport.topics(), await self._store.groups()
        except TransientError:
            pass  # what is counted in memory is still worth showing when the log is down
        else:
            found = lags(topics, groups, self._readers)
            self._metrics.lag(found)
            self._metrics.depth(depths(topics, found, self._readers))
        body, content_type = self._metrics.render(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    async def index(self, request: Request) -> Response:
        """List where to go."""
        return as_json(views.Links("motet", motet.__version__, _LINKS))

    def operations(self) -> tuple[Operation, ...]:
        """Return what is offered here."""
        return (
            Operation(
                method="GET",
                path="/",
                endpoint=request_response(self.index),
                summary="List where to go.",
                answer=views.Links,
            ),
            Operation(
                method="GET",
                path="/healthz",
                endpoint=request_response(self.alive),
                summary="Whether the process lives.",
                answer=views.Health,
            ),
            Operation(
                method="GET",
                path="/readyz",
                endpoint=request_response(self.ready),
                summary="Whether log, store and workers do their work; 503 with reasons if not.",
                answer=views.Health,
                problems=(503,),
            ),
            Operation(
                method="GET",
                path="/metrics",
                endpoint=request_response(self.metrics),
                summary="Metrics for Prometheus.",
                media_type="text/plain",
            ),
        )


_LINKS = {
    "publish": "/v1/events",
    "topics": "/v1/topics",
    "groups": "/v1/groups",
    "dead_letters": "/v1/dead-letters",
    "health": "/healthz",
    "readiness": "/readyz",
    "metrics": "/metrics",
    "openapi": "/openapi.json",
}


async def _reason(check: Check) -> str:
    try:
        return await check()
    except MotetError as err:
        return str(err) or type(err).__name__
