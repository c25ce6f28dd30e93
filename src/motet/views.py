"""What the API and the command line show alike: dead letters and consumer groups, as Structs."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from motet.core.clock import format_time
from motet.core.outcome import ErrorInfo
from motet.core.ports import Status, StoredDeadLetter
from motet.telemetry import Lag, masked

Json = Annotated[msgspec.Raw, Meta(extra_json_schema={"description": "any JSON value"})]


class GroupView(msgspec.Struct, frozen=True):
    """A consumer group: how far it is behind, in all and per partition."""

    group: str
    lag: int
    parked: int
    partitions: list[Lag]


class DeadLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter, named as the columns of the article's table.

    `original_event` and the stack trace are there only when it is asked for by id.
    """

    id: int
    dlq_id: str
    status: Status
    topic: str
    partition: int  # -1: refused before it was in the log
    offset: int  # -1: refused before it was in the log
    group: str  # empty: refused at the edge
    event_type: str
    key: str
    error_info: ErrorInfo
    retry_count: int
    first_failed_at: str | None
    created_at: str
    reviewed_by: str
    reviewed_at: str | None
    resolution_notes: str
    original_event: Json | msgspec.UnsetType = msgspec.UNSET


def view_groups(lags: Iterable[Lag]) -> list[GroupView]:
    """Put partitions together by group, in the order they come in."""
    by_group: dict[str, list[Lag]] = {}
    for lag in lags:
        by_group.setdefault(lag.group, []).append(lag)
    return [
        GroupView(group, sum(lag.lag for lag in found), sum(lag.parked for lag in found), found)
        for group, found in by_group.items()
    ]


def view_dead_letter(stored: StoredDeadLetter, *, whole: bool) -> DeadLetterView:
    """Show a dead letter; `whole` adds the event and the stack trace.

    Secrets are masked in errors; events are left as they are.
    """
    letter = stored.letter
    error = msgspec.structs.replace(
        letter.error,
        message=masked(letter.error.message),
        stack=masked(letter.error.stack) if whole else "",
    )
    return DeadLetterView(
        id=stored.id,
        dlq_id=stored.dlq_id,
        status=stored.status,
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        group=letter.group,
        event_type=letter.event_type,
        key=letter.key,
        error_info=error,
        retry_count=max(0, letter.attempts - 1),
        first_failed_at=_time(letter.first_failed_us),
        created_at=format_time(stored.created_us),
        reviewed_by=stored.reviewed_by,
        reviewed_at=_time(stored.reviewed_us),
        resolution_notes=stored.resolution_notes,
        original_event=_event(letter.value) if whole else msgspec.UNSET,
    )


def _time(time_us: int) -> str | None:
    return format_time(time_us) if time_us else None


def _event(value: bytes) -> msgspec.Raw:
    # The same form the article's column takes: bytes that are no JSON are wrapped.
    try:
        msgspec.json.decode(value)
    except (ValueError, RecursionError):  # DecodeError and UnicodeDecodeError are ValueErrors
        return msgspec.Raw(msgspec.json.encode({"base64": value}))
    return msgspec.Raw(value)
