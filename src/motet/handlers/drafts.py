"""What a handler asks to be published, before the runtime gives it an id, a time and a cause."""

from collections.abc import Mapping

import msgspec

from motet.core.errors import HandlerError


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An event to be: `emit` makes one, returning it from a handler publishes it."""

    topic: str
    data: object  # the payload: anything msgspec encodes as JSON
    type: str = ""  # "": that of the payload's class
    key: str | None = None  # None: the key of the event that caused it
    delay_s: float = 0.0  # seconds after now; a durable timer
    at_us: int = 0  # microseconds since the Unix epoch; a durable timer
    id: str = ""  # "": derived from the event that caused it, the handler and the ordinal
    metadata: Mapping[str, object] | None = None


def emit(
    topic: str,
    data: object = None,
    *,
    type: str = "",
    key: str | None = None,
    delay_s: float = 0.0,
    at_us: int = 0,
    id: str = "",
    metadata: Mapping[str, object] | None = None,
) -> Draft:
    """Ask for an event on `topic`; nothing happens until the handler returns it.

    The type is that of the payload's class (`@event`) unless given, the key that of the event
    being handled. With `delay_s` or `at_us` it is published then and not before, also if the
    program is not running in between. The id is the same at every try, so a repeat is no
    second event; give an `id` only to say that two handlings mean the same event.

    Raises:
        HandlerError: the topic is empty, or the delay is negative or given twice.
    """
    if not topic or delay_s < 0.0 or (at_us and delay_s):
        raise _wrong(topic, delay_s)
    return Draft(topic, data, type, key, delay_s, at_us, id, metadata)


def _wrong(topic: str, delay_s: float) -> HandlerError:
    if not topic:
        return HandlerError("emit: the topic is empty", retryable=False)
    if delay_s < 0.0:
        return HandlerError(f"emit to {topic!r}: delay_s is {delay_s}, below 0", retryable=False)
    return HandlerError(f"emit to {topic!r}: give delay_s or at_us, not both", retryable=False)
