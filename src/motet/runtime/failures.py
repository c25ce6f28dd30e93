"""What becomes of a record that was not handled: another try, a place in the queue, or the end."""

import traceback
from collections.abc import Callable, Iterable
from hashlib import blake2b

import msgspec

from motet.core.arrivals import TOMBSTONE
from motet.core.codec import encode
from motet.core.errors import CodecError, HandlerError
from motet.core.event import NULL, Broken, Message, Partition, Record
from motet.core.outcome import DeadLetter, ErrorInfo, Failure, Park
from motet.core.ports import Clock
from motet.resilience import RetryPolicy

_STACK_CHARS = 20_000  # a traceback goes into every dead letter
_MESSAGE_CHARS = 4_000
_CODE_CHARS = 100


class Disposition(msgspec.Struct, frozen=True):
    """The part of a commit that takes care of failures."""

    parks: tuple[Park, ...] = ()
    retried: tuple[Park, ...] = ()
    settled: tuple[int, ...] = ()
    dead: tuple[DeadLetter, ...] = ()


def dispose(
    failures: Iterable[Failure],
    *,
    group: str,
    partition: Partition,
    policy: RetryPolicy,
    clock: Clock,
) -> Disposition:
    """Sort failures into later tries and dead letters.

    A record read from the log is parked; one that was parked already has its row replaced.
    One that waits behind another keeps its place and its attempt.
    """
    parks: list[Park] = []
    retried: list[Park] = []
    settled: list[int] = []
    dead: list[DeadLetter] = []
    for failure in failures:
        record, error = failure.record, failure.error
        if error is None:
            if not record.parked:
                parks.append(Park(record, due_us=0))
            continue
        now_us = clock.now_us()
        info = describe(error)
        first_us = record.failed_us or now_us
        if policy.again(error, record.attempt):
            delay_s = policy.delay_s(record.attempt, random=clock.random())
            park = Park(
                msgspec.structs.replace(record, attempt=record.attempt + 1, failed_us=first_us),
                due_us=now_us + round(delay_s * 1e6),
                error=info,
                first_failed_us=first_us,
            )
            (retried if record.parked else parks).append(park)
        else:
            dead.append(_dead_letter(record, info, group, partition, first_us))
            if record.parked:
                settled.append(record.parked)
    return Disposition(tuple(parks), tuple(retried), tuple(settled), tuple(dead))


def dead_bytes(broken: Broken, *, group: str, partition: Partition, now_us: int) -> DeadLetter:
    """Return the dead letter for bytes in the log that are no event."""
    info = ErrorInfo("CodecError", broken.error, fingerprint=_fingerprint("CodecError", ""))
    return DeadLetter(
        topic=partition.topic,
        partition=partition.index,
        offset=broken.offset,
        group=group,
        key="",
        event_type="",
        value=broken.value,
        error=info,
        first_failed_us=now_us,
        message=Message(broken.key, broken.value, broken.headers),
    )


def describe(error: Exception) -> ErrorInfo:
    """Return an exception as data: its code is a short stable name, fit for a metric label.

    Whatever the exception is like, this does not raise, and what it returns can be stored.
    """
    cause = error.__cause__ if isinstance(error, HandlerError) and error.__cause__ else error
    code = _safe(lambda: _code(error) or type(cause).__name__, _CODE_CHARS)
    return ErrorInfo(
        code=code,
        message=_safe(lambda: _message(cause), _MESSAGE_CHARS) or code,
        stack=_safe(lambda: _stack(cause), _STACK_CHARS),
        fingerprint=_fingerprint(code, _safe(lambda: _place(cause), _MESSAGE_CHARS)),
    )


def _safe(text: Callable[[], str], chars: int) -> str:
    """Return text that the user's exception gives, as far as it gives any that can be stored."""
    try:
        found = text()
    except Exception as err:  # noqa: BLE001  # __str__ and the like are user code
        return f"<no text: {type(err).__name__}>"
    if len(found) > chars:
        found = f"{found[:chars]}..."
    return found.replace("\0", "\\x00").encode(errors="backslashreplace").decode()


def _code(error: Exception) -> str:
    return str(error.code) if isinstance(error, HandlerError) and error.code else ""


def _message(cause: BaseException) -> str:
    where = cause.where if isinstance(cause, CodecError) else ""
    return f"{cause} at {where}" if where else str(cause)


def _stack(cause: BaseException) -> str:
    parts = [part[:_MESSAGE_CHARS] for part in traceback.format_exception(cause)]
    return "".join(parts)[-_STACK_CHARS:]


def _place(cause: BaseException) -> str:
    last = cause.__traceback__
    if last is None:
        return ""
    while last.tb_next is not None:
        last = last.tb_next
    code = last.tb_frame.f_code
    return f"{code.co_filename.rpartition('/')[2]}:{code.co_name}"


def _fingerprint(code: str, place: str) -> str:
    return blake2b(f"{code}@{place}".encode(), digest_size=6).hexdigest()


def _dead_letter(
    record: Record, info: ErrorInfo, group: str, partition: Partition, first_us: int
) -> DeadLetter:
    return DeadLetter(
        topic=partition.topic,
        partition=partition.index,
        offset=record.offset,
        group=group,
        key=record.event.key,
        event_type=record.event.type,
        value=encode(record.event),
        error=info,
        attempts=record.attempt,
        first_failed_us=first_us,
        message=as_message(record),
    )


def as_message(record: Record) -> Message:
    """Return a record as its broker had it: the bytes it came in, and its headers."""
    return Message(record.event.key.encode(), _value(record), record.headers)


def _value(record: Record) -> bytes | None:
    event = record.event
    if record.value:
        return record.value
    if event.type == TOMBSTONE and bytes(event.data) == bytes(NULL):
        return None
    # Headers without bytes are a CloudEvent in binary mode that has no data.
    return b"" if record.headers else encode(event)
