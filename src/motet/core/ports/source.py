"""Where events come from that are not in a log of ours."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from motet.core.event import Message


class Taken(msgspec.Struct, frozen=True):
    """One message as a source gave it, and what to call it by when it is done."""

    topic_or_channel: str  # as the source names it
    message: Message
    id: str | None  # what the source knows it by; None: it has no name for it


class Source(Protocol):
    """Where events come from that are not in a log of ours: read once, then published to one."""

    lossy: bool  # what arrives while nobody listens is gone

    async def take(self, *, max_messages: int, max_wait_s: float) -> Sequence[Taken]:
        """Return what has come, at most `max_messages`; nothing after `max_wait_s`.

        Safe to cancel: a message that was not returned is not lost by it.

        Raises:
            Unavailable: the source does not answer; the next call connects again.
        """
        ...

    async def done(self, taken: Sequence[Taken]) -> None:
        """They are durable elsewhere: the source may forget them. Nothing to do where lossy.

        Raises:
            Unavailable: the source does not answer; it may give them again.
        """
        ...
