"""Retry and dead-letter topics: their names, and the headers of what is in them.

`{topic}.retry.{n}` holds what waits for try number n + 1, `{topic}.dlq` what failed for good. The
headers `__dlq.errors.*` are those of Kafka's own dead-letter topics (KIP-1191), with additions of
ours: exception, stacktrace, timestamp, fingerprint. Instants are RFC 3339, UTC.
"""

import re
from collections.abc import Iterable

import msgspec

from motet.core.clock import format_time, parse_time
from motet.core.errors import CodecError
from motet.core.event import Event, Headers, Message, Partition
from motet.core.outcome import ErrorInfo

ATTEMPT = "retry-attempt"  # of the try to come; 2 for the first retry
NOT_BEFORE = "retry-not-before"
FIRST_FAILED = "retry-first-failed-at"
EVENT_ID = "retry-event-id"  # bytes from outside may hold none: then it tells of their first place
EVENT_TIME = "retry-event-time"
ERRORS = "__dlq.errors."

_RETRY_TOPIC = re.compile(r"(.+)\.retry\.([1-9][0-9]{0,5})")
_HEADER_BYTES = 4_000  # a stack trace may be long, and a broker limits all headers together


def retry_topic(topic: str, attempt: int) -> str:
    """Return where a record waits for try number `attempt`, 2 or more."""
    return f"{topic}.retry.{attempt - 1}"


def dead_letter_topic(topic: str) -> str:
    """Return where a record goes that failed for good."""
    return f"{topic}.dlq"


def source_topic(topic: str) -> str:
    """Return the topic that a retry topic belongs to; any other is its own."""
    found = _RETRY_TOPIC.fullmatch(topic)
    return found[1] if found else topic


def retrying(topic: str) -> bool:
    """Whether it is a retry topic by its name."""
    return _RETRY_TOPIC.fullmatch(topic) is not None


class Failed(msgspec.Struct, frozen=True):
    """Where and why a record failed."""

    group: str
    partition: Partition
    offset: int
    attempts: int  # tries until now
    error: ErrorInfo
    at_us: int


class Waiting(msgspec.Struct, frozen=True):
    """What the headers of a record in a retry topic say."""

    group: str  # whose retry it is
    attempt: int
    not_before_us: int
    first_failed_us: int
    event_id: str = ""  # "": not said
    event_time: str = ""


def dead(message: Message, failed: Failed) -> Message:
    """Return a message for a dead-letter topic: the same bytes, key and headers, and why."""
    headers = (*_without(message.headers, (ERRORS,)), *_errors(message, failed))
    return _placed(message, headers, failed.partition)


def again(
    message: Message, failed: Failed, event: Event, *, due_us: int, first_failed_us: int
) -> Message:
    """Return a message for a retry topic: the same bytes, key and headers, when, and why.

    The event's id and time are in headers too, for bytes that do not say them.
    """
    headers = (
        *_without(message.headers, (ERRORS, "retry-")),
        (ATTEMPT, str(failed.attempts + 1).encode()),
        (NOT_BEFORE, format_time(due_us).encode()),
        (FIRST_FAILED, format_time(first_failed_us).encode()),
        (EVENT_ID, event.id.encode()),
        (EVENT_TIME, event.time.encode()),
        *_errors(message, failed),
    )
    return _placed(message, headers, failed.partition)


def waiting(headers: Headers) -> Waiting | None:
    """Return what a retry topic's headers say; None where they are not ours."""
    named = {name: value.decode(errors="replace") for name, value in headers}
    try:
        return Waiting(
            group=named[f"{ERRORS}group"],
            attempt=int(named[ATTEMPT]),
            not_before_us=parse_time(named[NOT_BEFORE]),
            first_failed_us=parse_time(named[FIRST_FAILED]),
            event_id=named.get(EVENT_ID, ""),
            event_time=named.get(EVENT_TIME, ""),
        )
    except (KeyError, ValueError, CodecError):
        return None


def original(headers: Headers) -> Headers:
    """Return the headers a message had before it failed for the first time."""
    ours = (ERRORS, ATTEMPT, NOT_BEFORE, FIRST_FAILED, EVENT_ID, EVENT_TIME)
    return tuple(_without(headers, ours))


def _errors(message: Message, failed: Failed) -> Headers:
    # A retry that fails again keeps the place where the record first was.
    before = {name: value for name, value in message.headers if name.startswith(ERRORS)}
    topic = source_topic(failed.partition.topic)
    first_place = {
        "topic": topic.encode(),
        "partition": str(failed.partition.index).encode(),
        "offset": str(failed.offset).encode(),
    }
    error = failed.error
    said = {
        "group": failed.group,
        "delivery.count": str(failed.attempts),
        "message": error.message,
        "exception": error.code,
        "stacktrace": error.stack,
        "timestamp": format_time(failed.at_us),
        "fingerprint": error.fingerprint,
    }
    return (
        *((ERRORS + name, before.get(ERRORS + name, value)) for name, value in first_place.items()),
        *((ERRORS + name, text.encode()[-_HEADER_BYTES:]) for name, text in said.items() if text),
    )


def _without(headers: Headers, prefixes: tuple[str, ...]) -> Iterable[tuple[str, bytes]]:
    return (header for header in headers if not header[0].startswith(prefixes))


def _placed(message: Message, headers: Headers, partition: Partition) -> Message:
    return Message(message.key, message.value, headers, partition.index)
