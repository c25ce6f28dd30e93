"""What a handler wants done, as data. Nothing has happened until a store commits it."""

import msgspec

from motet.core.event import Event, Message, Partition, Record


class Emit(msgspec.Struct, frozen=True, gc=False):
    """Publish `event` to `topic`, not before an instant: later means a durable timer."""

    topic: str
    event: Event
    not_before_us: int = 0  # microseconds since the Unix epoch; 0: at once


class Append(msgspec.Struct, frozen=True):
    """Add events to one entity's stream, in order."""

    stream: str
    events: tuple[Event, ...]
    expected: int | None = None  # version of the stream before; None: any


class Put(msgspec.Struct, frozen=True):
    """Set a state value, or remove it with None. Versions make two writers of one key safe."""

    key: str
    value: bytes | None
    expected: int  # version read before; 0: not there yet


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an event failed: the `error_info` column of the article's dead letter table."""

    code: str  # short and stable, a metric label: "TimeoutError", "CodecError"
    message: str
    stack: str = ""
    fingerprint: str = ""  # equal for failures with the same code and place


class Failure(msgspec.Struct, frozen=True):
    """A record that was not handled: it failed, or waits behind one of its key that did."""

    record: Record
    error: Exception | None = None  # None: not tried, an earlier record of its key failed


class Outcome(msgspec.Struct, frozen=True):
    """All of it is committed together with the reader's progress, or none of it."""

    emits: tuple[Emit, ...] = ()
    appends: tuple[Append, ...] = ()
    puts: tuple[Put, ...] = ()
    failures: tuple[Failure, ...] = ()  # what the runtime is to retry, park or dead-letter


class Park(msgspec.Struct, frozen=True):
    """Keep a record for a later try, in order behind others parked under its key."""

    record: Record  # its `attempt` is the number of the next try
    due_us: int  # the earliest instant of that try; 0: as soon as it heads its key
    error: ErrorInfo | None = None  # of the last try; None: it waits behind another
    first_failed_us: int = 0


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that failed for good, with the bytes it came in."""

    topic: str
    partition: int  # -1: refused before it was in the log
    offset: int  # -1: refused before it was in the log
    group: str  # who could not handle it; "" for the edge
    key: str
    event_type: str  # "" where the bytes are no event
    value: bytes  # the event as JSON, or the bytes that are none
    error: ErrorInfo
    attempts: int = 1
    first_failed_us: int = 0
    message: Message | None = None  # as a broker delivered it, if one did; stores do not keep it


class Commit(msgspec.Struct, frozen=True):
    """One step of a group through a partition: progress and every effect, atomically.

    `version` is the progress version this step was computed from; a store applies the
    commit only if it still holds, so a redelivered batch and a worker that lost its lease
    change nothing (`Fenced`). `settled` are parked rows done; `retried` are parked rows
    whose next try is later: each replaces the row with the same `record.parked`.
    """

    group: str
    partition: Partition
    version: int
    next: int  # every offset below is done
    ahead: tuple[int, ...] = ()  # offsets at or above `next` that are done already, ascending
    outcomes: tuple[Outcome, ...] = ()
    parks: tuple[Park, ...] = ()
    retried: tuple[Park, ...] = ()
    settled: tuple[int, ...] = ()
    dead: tuple[DeadLetter, ...] = ()
    handled: tuple[str, ...] = ()  # ids to remember, where the log may have one twice: the inbox
