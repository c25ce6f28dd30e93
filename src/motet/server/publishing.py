"""Taking events in: decoded, bounded, appended as a whole, answered when durable."""

from collections import Counter
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from motet.core.errors import TransientError
from motet.core.outcome import DeadLetter, ErrorInfo
from motet.core.ports import Store, Transport
from motet.core.topics import TOPIC
from motet.server import views
from motet.server.bodies import read_body
from motet.server.decoding import Decoder, RefusedError
from motet.server.gate import Gate
from motet.server.operations import Operation
from motet.server.problems import Item, ProblemError
from motet.telemetry import Metrics, bind

DEFAULT_TOPIC = "events"
"""Where events go that name no topic."""

_JSON = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode
_log = bind(__name__)


class TopicQuery(msgspec.Struct):
    """Where to publish; the same pattern as in a path."""

    topic: str = DEFAULT_TOPIC


class Publishing:
    """The endpoint behind every way to post events. A request is taken whole or refused whole.

    An ASGI application rather than a Starlette endpoint: this is the one path where
    microseconds count.
    """

    def __init__(
        self, transport: Transport, store: Store, gate: Gate, decoder: Decoder, metrics: Metrics
    ) -> None:
        self._transport = transport
        self._store = store
        self._gate = gate
        self._decoder = decoder
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request; answers 202 once its events are durable."""
        accepted = await self._take(scope, receive)
        body = _encode(accepted)
        headers = [_JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, scope: Scope, receive: Receive) -> views.Accepted:
        gate = self._gate
        with gate.visit() as visit:
            body = await read_body(receive, visit, gate.limits)
            topic = _topic(scope)
            try:
                events = await self._decoder.events(_headers(scope), body)
            except RefusedError as err:
                await self._keep(topic, body, err)
                raise err.problem from None
            await gate.backlog.refresh()
            self._check_topics(topic)
            visit.admit(topic, len(events))
            new = await self._transport.publish(topic, events) if events else 0
        self._metrics.received(topic, Counter(event.type for event in events))
        return views.Accepted(topic, len(events), len(events) - new, [event.id for event in events])

    def _check_topics(self, topic: str) -> None:
        backlog, most = self._gate.backlog, self._gate.limits.topics
        if backlog.topics >= most and not backlog.knows(topic):
            raise ProblemError(
                422,
                f"There is no topic {topic!r}, and {most} others: no more are created this way.",
                kind="too-many-topics",
            )

    async def _keep(self, topic: str, body: bytes, refused: RefusedError) -> None:
        """Put what is no event among the dead letters, with its bytes as they came."""
        if not body or refused.problem.status_code == 415:
            return  # there is nothing to keep, or nobody said that it was events
        letters = [
            DeadLetter(
                topic=topic,
                partition=-1,
                offset=-1,
                group="",
                key="",
                event_type="",
                value=refusal.error.value or body,
                error=ErrorInfo("CodecError", f"{item.field}: {item.detail}"),
            )
            for refusal, item in zip(refused.refusals, refused.problem.problem.errors, strict=True)
        ]
        try:
            await self._store.dead_letters.add(letters)
        except TransientError as err:
            # The sender is told all the same and still has the bytes.
            _log.warning("refused.not_kept", extra={"error": str(err), "events": len(letters)})
        else:
            self._metrics.dead("CodecError", len(letters))

    def operations(self) -> tuple[Operation, ...]:
        """Return what is offered here."""
        return (
            Operation(
                method="POST",
                path="/v1/events",
                endpoint=self,
                summary="Publish events; 202 once they are durable.",
                query=TopicQuery,
                bodies=_BODIES,
                answer=views.Accepted,
                status=202,
                problems=_PROBLEMS,
            ),
            Operation(
                method="POST",
                path="/v1/topics/{topic}/events",
                endpoint=self,
                summary="Publish events to a topic; 202 once they are durable.",
                bodies=_BODIES,
                answer=views.Accepted,
                status=202,
                problems=_PROBLEMS,
            ),
        )


def _topic(scope: Scope) -> str:
    """Return the topic of the path, else of the query, else the default."""
    topic = scope["path_params"].get("topic")
    if topic is None:
        query = scope["query_string"]
        if not query:
            return DEFAULT_TOPIC
        topic = _topic_of_query(query.decode("latin-1"))
    if not TOPIC.fullmatch(topic):
        raise _wrong_topic("a topic has 1 to 249 of A-Z a-z 0-9 . _ - and begins with none of ._-")
    return str(topic)


def _topic_of_query(query: str) -> str:
    try:
        given = parse_qsl(query, keep_blank_values=True, max_num_fields=10)
    except ValueError as err:
        raise _wrong_topic(str(err)) from err
    topics = [value for name, value in given if name == "topic"]
    if len(topics) != len(given) or len(topics) > 1:
        raise _wrong_topic("the only parameter is topic, given once")
    return topics[0] if topics else DEFAULT_TOPIC


def _wrong_topic(detail: str) -> ProblemError:
    return ProblemError(
        422,
        "The topic is not as it should be.",
        kind="wrong-parameter",
        errors=(Item(index=-1, field="?topic", detail=detail),),
    )


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]}


_EVENT = {"$ref": "#/components/schemas/EventEnvelope"}
_CLOUD_EVENT: dict[str, object] = {
    "type": "object",
    "required": ["id", "source", "specversion", "type"],
    "properties": {
        name: {"type": "string"}
        for name in ("id", "source", "type", "specversion", "time", "subject", "dataschema")
    },
}
_BODIES: dict[str, dict[str, object]] = {
    "application/json": {"anyOf": [_EVENT, {"type": "array", "items": _EVENT}]},
    "application/x-ndjson": {
        "type": "string",
        "description": "JSON lines: an event on each.",
    },
    "application/cloudevents+json": _CLOUD_EVENT,
    "application/cloudevents-batch+json": {"type": "array", "items": _CLOUD_EVENT},
    "*/*": {"description": "The data of one CloudEvent in binary mode, with ce- headers."},
}
_PROBLEMS = (400, 408, 413, 415, 422, 429, 503)
