"""The JSON that goes out and comes in, as Structs: the OpenAPI document is made from them.

Events keep the article's camelCase; everything else has the names of the code, of the
article's tables and of the command line.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from motet.core.ports import Status, TopicInfo
from motet.views import DeadLetterView, GroupView

EventRaw = Annotated[
    msgspec.Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/EventEnvelope"})
]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]  # what SQL can hold
Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Ids = Annotated[list[Id], Meta(min_length=1, max_length=1000)]


class EventEnvelope(msgspec.Struct, kw_only=True, rename="camel"):
    """An event on the wire, in the article's envelope. Unknown members are kept in `metadata`."""

    event_id: Annotated[str, Meta(description="Unique per topic: the deduplication key.")] = ""
    event_type: Annotated[str, Meta(description="Past tense, dotted: order.created.")]
    timestamp: Annotated[str, Meta(description="When it happened: RFC 3339.")] = ""
    key: Annotated[str, Meta(description="Events of one key are handled in order.")] = ""
    source: Annotated[str, Meta(description="Who says so.")] = ""
    version: Annotated[int, Meta(description="Of the payload's schema.", ge=1)] = 1
    schema: Annotated[str, Meta(description="URI of the payload's schema.")] = ""
    correlation_id: Annotated[str, Meta(description="The conversation this belongs to.")] = ""
    causation_id: Annotated[str, Meta(description="Id of the event that led to this one.")] = ""
    payload: Annotated[object, Meta(description="Any JSON value.")] = None
    metadata: dict[str, object] | None = None
    references: dict[str, object] | None = None


class Accepted(msgspec.Struct, frozen=True):
    """The events of one request are durable, in this order."""

    topic: str
    accepted: int  # events in the request
    duplicates: int  # how many of them the topic had already; they were not appended again
    ids: list[str]  # of every event, in the order of the request


class Topics(msgspec.Struct, frozen=True):
    """All topics by name."""

    topics: tuple[TopicInfo, ...]


class TopicEventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events of a topic to read."""

    partition: Count = 0
    offset: Count = 0
    limit: Limit = 100


class RecordView(msgspec.Struct, frozen=True):
    """An event and its place."""

    offset: int
    event: EventRaw


class BrokenView(msgspec.Struct, frozen=True):
    """Bytes in the log that are no event."""

    offset: int
    error: str
    base64: bytes


class TopicEvents(msgspec.Struct, frozen=True):
    """Events of one partition, oldest first."""

    topic: str
    partition: int
    records: list[RecordView]
    broken: list[BrokenView]
    next: int  # the offset to read on from


class Groups(msgspec.Struct, frozen=True):
    """All consumer groups by name."""

    groups: list[GroupView]


class DeadLettersQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters to list; all conditions given must hold."""

    status: Status | None = None
    topic: str | None = None
    group: str | None = None
    code: str | None = None
    after: Count = 0  # the `next` of the page before
    limit: Limit = 100


class DeadLetters(msgspec.Struct, frozen=True):
    """One page of dead letters, oldest first."""

    dead_letters: list[DeadLetterView]
    next: int | None  # give it as `after` for the next page; null: this is the last


class Redrive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dead letters to hand back to the group that failed."""

    ids: Ids
    by: str = "api"


class Redriven(msgspec.Struct, frozen=True):
    """How many were handed back; the others are closed already, of the edge, or not there."""

    redriven: int


class Archive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dead letters to close without a new try."""

    ids: Ids
    by: str = "api"
    notes: str = ""


class Archived(msgspec.Struct, frozen=True):
    """How many were open and are closed now."""

    archived: int


class Health(msgspec.Struct, frozen=True):
    """The process works; `checks` names what was looked at."""

    status: str  # ok or ready
    checks: tuple[str, ...] = ()


class Links(msgspec.Struct, frozen=True):
    """Where to go from here."""

    name: str
    version: str
    links: dict[str, str]
