"""What an operator reads and does: topics, groups, dead letters."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import request_response

from motet.core.event import Batch, Partition
from motet.core.ports import Clock, DeadLetters, Store, TopicInfo, Transport
from motet.server import views
from motet.server.operations import Operation, as_json, parse_body, parse_query
from motet.server.problems import ProblemError
from motet.telemetry import Readers, lags
from motet.views import DeadLetterView, view_dead_letter, view_groups

_PAGE_BYTES = 8 * 2**20  # of events in one answer; the first is always there


class Operators:
    """Endpoints over the transport and the store; each reads what is committed now."""

    def __init__(
        self, transport: Transport, store: Store, clock: Clock, *, readers: Readers
    ) -> None:
        self._transport = transport
        self._store = store
        self._clock = clock
        self._readers = readers

    async def topics(self, request: Request) -> Response:
        """List the topics."""
        return as_json(views.Topics(tuple(await self._transport.topics())))

    async def topic_events(self, request: Request) -> Response:
        """Read events of one partition without joining a group."""
        query = parse_query(request, views.TopicEventsQuery)
        name = request.path_params["topic"]
        topic = await self._topic(name)
        if query.partition >= topic.partitions:
            raise ProblemError(
                404, f"Topic {name!r} has partitions 0 to {topic.partitions - 1}.", kind="not-found"
            )
        partition = Partition(name, query.partition)
        batch = await self._transport.read(partition, offset=query.offset, limit=query.limit)
        return as_json(_page(batch))

    async def _topic(self, name: str) -> TopicInfo:
        for topic in await self._transport.topics():
            if topic.name == name:
                return topic
        raise ProblemError(404, f"There is no topic {name!r}.", kind="not-found")

    async def groups(self, request: Request) -> Response:
        """List the consumer groups with their lag."""
        topics, places = await self._transport.topics(), await self._store.groups()
        groups = view_groups(lags(topics, places, self._readers))
        return as_json(views.Groups(groups))

    @property
    def _letters(self) -> DeadLetters:
        return self._store.dead_letters

    async def dead_letters(self, request: Request) -> Response:
        """List dead letters, oldest first."""
        query = parse_query(request, views.DeadLettersQuery)
        found = await self._letters.list(
            status=query.status,
            topic=query.topic,
            group=query.group,
            code=query.code,
            after=query.after,
            limit=query.limit + 1,
        )
        shown = found[: query.limit]
        following = shown[-1].id if len(found) > query.limit else None
        return as_json(
            views.DeadLetters([view_dead_letter(one, whole=False) for one in shown], following)
        )

    async def dead_letter(self, request: Request) -> Response:
        """Show one dead letter with its event."""
        given: str = request.path_params["id"]
        # Eighteen digits fit into 64 bits; what is longer is no id of ours.
        known = given.isascii() and given.isdigit() and len(given) < 19
        found = await self._letters.get([int(given)]) if known else ()
        if not found:
            raise ProblemError(404, f"There is no dead letter {given!r}.", kind="not-found")
        return as_json(view_dead_letter(found[0], whole=True))

    async def redrive(self, request: Request) -> Response:
        """Hand dead letters back to the group that failed."""
        asked = await parse_body(request, views.Redrive)
        count = await self._letters.redrive(asked.ids, by=asked.by, now_us=self._clock.now_us())
        return as_json(views.Redriven(count))

    async def archive(self, request: Request) -> Response:
        """Close dead letters without a new try."""
        asked = await parse_body(request, views.Archive)
        count = await self._letters.archive(
            asked.ids, by=asked.by, notes=asked.notes, now_us=self._clock.now_us()
        )
        return as_json(views.Archived(count))

    def operations(self) -> tuple[Operation, ...]:
        """Return what is offered here."""
        return (
            Operation(
                method="GET",
                path="/v1/topics",
                endpoint=request_response(self.topics),
                summary="List the topics.",
                answer=views.Topics,
            ),
            Operation(
                method="GET",
                path="/v1/topics/{topic}/events",
                endpoint=request_response(self.topic_events),
                summary="Read events of one partition, oldest first.",
                query=views.TopicEventsQuery,
                answer=views.TopicEvents,
                problems=(404, 422),
            ),
            Operation(
                method="GET",
                path="/v1/groups",
                endpoint=request_response(self.groups),
                summary="List the consumer groups with their lag per partition.",
                answer=views.Groups,
            ),
            Operation(
                method="GET",
                path="/v1/dead-letters",
                endpoint=request_response(self.dead_letters),
                summary="List dead letters, oldest first.",
                query=views.DeadLettersQuery,
                answer=views.DeadLetters,
                problems=(422,),
            ),
            Operation(
                method="GET",
                path="/v1/dead-letters/{id}",
                endpoint=request_response(self.dead_letter),
                summary="Show one dead letter with its event and stack trace.",
                answer=DeadLetterView,
                problems=(404,),
            ),
            Operation(
                method="POST",
                path="/v1/dead-letters/redrive",
                endpoint=request_response(self.redrive),
                summary="Hand dead letters back to the group that failed.",
                body=views.Redrive,
                answer=views.Redriven,
                problems=(400, 413, 415, 422),
            ),
            Operation(
                method="POST",
                path="/v1/dead-letters/archive",
                endpoint=request_response(self.archive),
                summary="Close dead letters without a new try.",
                body=views.Archive,
                answer=views.Archived,
                problems=(400, 413, 415, 422),
            ),
        )


def _page(batch: Batch) -> views.TopicEvents:
    records: list[views.RecordView] = []
    size, following = 0, batch.end
    for record in batch.records:
        encoded = msgspec.json.encode(record.event)
        size += len(encoded)
        if records and size > _PAGE_BYTES:
            following = record.offset
            break
        records.append(views.RecordView(record.offset, msgspec.Raw(encoded)))
    broken = [
        views.BrokenView(one.offset, one.error, one.value)
        for one in batch.broken
        if one.offset < following
    ]
    return views.TopicEvents(
        batch.partition.topic, batch.partition.index, records, broken, following
    )
