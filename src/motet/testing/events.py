"""Events for tests: numbered, so that they read well in a failure."""

import msgspec

from motet.core.clock import format_time
from motet.core.event import Event

_START_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


def make_event(
    number: int = 0,
    *,
    key: str = "k",
    type: str = "thing.happened",
    data: object = None,
    id: str = "",
) -> Event:
    """Return event `number`: its id and its time follow from that."""
    return Event(
        id=id or f"019b7600-0000-7000-8000-{number:012d}",
        type=type,
        time=format_time(_START_US + number),
        key=key,
        source="/motet/testing",
        data=msgspec.Raw(msgspec.json.encode(data)),
    )


def make_events(count: int, *, keys: int = 1, first: int = 0) -> list[Event]:
    """Return events numbered from `first`, dealt round `keys` keys; their data is their number."""
    return [make_event(n, key=f"k{n % keys}", data=n) for n in range(first, first + count)]
