"""Event ids: new ones in time order, and ids derived from the event that caused them.

Both have the layout of a UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix
milliseconds, the version, then bits that tell ids of one millisecond apart.
"""

import os
import re
from hashlib import blake2b
from typing import Protocol

from motet.core.clock import parse_time
from motet.core.ports import WallClock

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIMED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7")  # how ids that begin with a time begin
_ORDINALS = 8  # ordinals whose hash is begun ahead
_RANDOM_BITS = 74
_RANDOM_MAX = (1 << _RANDOM_BITS) - 1


def valid_uuid(text: str) -> bool:
    """Whether `text` is a UUID of any version in the usual hyphenated form."""
    return _UUID.fullmatch(text) is not None


class Ids(Protocol):
    """Where the ids of events come from that have none."""

    def next(self) -> str:
        """Return the id of the event at hand."""
        ...


class IdSource:
    """New ids, each greater than the one before.

    Also within a millisecond, and when the clock goes back (RFC 9562, section 6.2, method 2).
    One instance per process and thread.
    """

    def __init__(self, clock: WallClock, *, entropy: bytes | None = None) -> None:
        self._clock = clock
        self._last_ms = 0
        seed = entropy if entropy is not None else os.urandom(16)
        self._hash = blake2b(seed, digest_size=10)
        self._count = 0
        self._random = self._draw() >> 1

    def next(self) -> str:
        """Return a new id."""
        now_ms = self._clock.now_us() // 1000
        if now_ms > self._last_ms:
            self._last_ms = now_ms
            self._random = self._draw() >> 1  # the top bit left free for counting up
        else:
            self._random += 1 + (self._draw() & 0xFFFFFFFF)
            if self._random > _RANDOM_MAX:
                self._last_ms += 1
                self._random = self._draw() >> 1
        return _layout(self._last_ms, self._random)

    def _draw(self) -> int:
        # Hashes of a counter under a secret seed: unguessable, and repeatable in a simulation.
        self._count += 1
        step = self._hash.copy()
        step.update(self._count.to_bytes(8, "little"))
        return int.from_bytes(step.digest(), "big") & _RANDOM_MAX


def _layout(ms: int, random: int) -> str:
    high, low = random >> 62, random & ((1 << 62) - 1)
    digits = f"{(ms << 80) | (7 << 76) | (high << 64) | (2 << 62) | low:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Derived:
    """Ids of what one handler emits: the same source event gives the same ids, always.

    The time part is that of the source event, so that derived ids stay in time order; the rest
    is a BLAKE2b hash of source id, handler and ordinal (72 bits within a millisecond).
    """

    def __init__(self, handler: str) -> None:
        self._handler = handler.encode()
        self._hashes = [self._started(ordinal) for ordinal in range(_ORDINALS)]
        # The last head that was found to be a time: one millisecond has many ids.
        self._timed: str | None = None

    def id(self, source_id: str, source_time: str, ordinal: int) -> str:
        """Return the id of the `ordinal`-th event (0-based) emitted for a source event."""
        step = self._hashes[ordinal].copy() if ordinal < _ORDINALS else self._started(ordinal)
        step.update(source_id.encode())
        digits = step.hexdigest()
        head = source_id[:15]
        if head != self._timed:
            head = self._head(source_id, source_time)
        return f"{head}{digits[:3]}-8{digits[3:6]}-{digits[6:]}"

    def _started(self, ordinal: int) -> blake2b:
        return blake2b(b"%b\0%d\0" % (self._handler, ordinal), digest_size=9)

    def _head(self, source_id: str, source_time: str) -> str:
        if _TIMED.match(source_id):
            self._timed = head = source_id[:15]
            return head
        ms = max(0, parse_time(source_time) // 1000)
        return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7"
