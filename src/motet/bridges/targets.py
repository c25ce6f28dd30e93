"""Where a bridge leads, and what becomes of events that are not wanted there."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from motet.bridges.picking import Counts
from motet.core.errors import CodecError
from motet.core.event import Event

T = TypeVar("T")


class Target(Protocol):
    """Any transport, or whatever else takes events in order."""

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Take events in order and return how many were new; durable on return.

        Raises:
            CodecError: one will never be taken; none of them was.
            Unavailable: not now; some may have been.
        """
        ...


async def publish(
    target: Target, topic: str, given: Sequence[tuple[T, Event]], counts: Counts
) -> list[tuple[T, CodecError]]:
    """Publish events in order; return those that are refused for good, with the error.

    What is refused is halved until the events at fault are alone.

    Raises:
        Unavailable: the target does not answer; some may be published.
    """
    if not given:
        return []
    try:
        new = await target.publish(topic, [event for _, event in given])
    except CodecError as err:
        if len(given) == 1:
            return [(given[0][0], err)]
        half = len(given) // 2
        first = await publish(target, topic, given[:half], counts)
        return first + await publish(target, topic, given[half:], counts)
    counts.copied += len(given)
    counts.new += new
    return []
