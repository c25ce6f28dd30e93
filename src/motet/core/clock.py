"""Time: the system clock, and instants as microseconds and as RFC 3339 text."""

import asyncio
import random
import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from motet.core.errors import CodecError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,18})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_FIRST_US = -62_135_596_800_000_000  # the year 1
_END_US = 253_402_300_800_000_000  # the year 10000


class SystemClock:
    """The machine's own clock; conforms to `ports.Clock`."""

    def __init__(self) -> None:
        self._random = random.Random()

    def now_us(self) -> int:
        """Wall clock, microseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` seconds."""
        await asyncio.sleep(delay_s)

    def random(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()


@lru_cache(maxsize=256)
def _whole_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat()[:19]


def format_time(time_us: int) -> str:
    """Return an instant, in the years 1 to 9999, as RFC 3339 text in UTC with microseconds."""
    second, micro = divmod(time_us, 1_000_000)
    return f"{_whole_second(second)}.{micro:06d}Z"


def parse_time(text: str) -> int:
    """Return RFC 3339 text as microseconds since the Unix epoch; finer digits are cut off.

    Raises:
        CodecError: it is no date and time, has no offset from UTC, or is a leap second.
    """
    if not _RFC_3339.fullmatch(text):
        raise CodecError(
            f"{text[:40]!r} is no RFC 3339 time with offset, such as 2026-05-25T10:15:30Z",
            where="$.timestamp",
        )
    try:
        since = datetime.fromisoformat(text.upper()) - _EPOCH
    except ValueError as err:
        raise CodecError(f"{text!r} is no time: {err}", where="$.timestamp") from err
    time_us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not _FIRST_US <= time_us < _END_US:
        raise CodecError(f"{text!r} is outside the years 1 to 9999 UTC", where="$.timestamp")
    return time_us
