"""Which offsets of a partition are done, when keys finish out of order."""

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from motet.core.event import Broken, Record

Read = TypeVar("Read", Record, Broken)


class Offsets:
    """From the offsets in flight to `next` and `ahead`: what a commit records as progress."""

    def __init__(self, *, next_offset: int, ahead: Iterable[int]) -> None:
        self._end = next_offset
        self._ahead = set(ahead)
        self._open: set[int] = set()  # in flight: as many as a partition may have, some hundred

    def take(self, records: Sequence[Read], end: int) -> Sequence[Read]:
        """Note records as in flight, up to `end`; return those that are not done already."""
        fresh = self.pass_over(records, end)
        self._open.update(record.offset for record in fresh)
        return fresh

    def pass_over(self, records: Sequence[Read], end: int) -> Sequence[Read]:
        """Count records as done at once, up to `end`; return those that were not done before."""
        self._end = max(self._end, end)
        if not self._ahead:
            return records
        return [record for record in records if record.offset not in self._ahead]

    def done(self, offset: int) -> None:
        """Mark one offset in flight as handled; it counts from the next commit on."""
        self._open.remove(offset)
        self._ahead.add(offset)

    def progress(self, finishing: Collection[int] = ()) -> tuple[int, tuple[int, ...]]:
        """Return `next` (every offset below is done) and the done ones at or above it.

        `finishing` are counted as done, though nothing is noted: their commit may still fail.
        """
        done = self._ahead.union(finishing)
        next_offset = min(self._open - done, default=self._end)
        return next_offset, tuple(sorted(offset for offset in done if offset >= next_offset))

    def forget_below(self, next_offset: int) -> None:
        """Drop what lies below `next`: it need not be remembered one by one."""
        if self._ahead:
            self._ahead = {offset for offset in self._ahead if offset >= next_offset}

    def is_open(self, offset: int) -> bool:
        """Whether an offset is in flight."""
        return offset in self._open

    @property
    def in_flight(self) -> int:
        """Number of records fetched and not done."""
        return len(self._open)

    @property
    def ahead(self) -> int:
        """Number of offsets done while an earlier one is not."""
        return len(self._ahead)
