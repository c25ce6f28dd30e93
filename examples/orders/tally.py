"""Counting how orders ended, and how long the processed ones took."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from .flow import OrderEnded

STEP = math.log(1.02)  # buckets 2 % apart: a quantile is at most 1 % off


class Tally(msgspec.Struct, rename="camel"):
    """How many orders ended how; a kilobyte or two, whatever their number."""

    outcomes: dict[str, int] = {}
    buckets: dict[int, int] = {}  # processed orders by the logarithm of the time they took

    @property
    def orders(self) -> int:
        """How many have ended."""
        return sum(self.outcomes.values())

    def add(self, ended: Iterable[OrderEnded]) -> None:
        """Count some more."""
        for each in ended:
            self.outcomes[each.outcome] = self.outcomes.get(each.outcome, 0) + 1
            if each.took_us is not None:
                bucket = round(math.log(max(1, each.took_us)) / STEP)
                self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def quantile_us(self, share: float) -> int | None:
        """Gives the time that `share` of the processed orders stayed within; None: there are none.

        Microseconds, exact to 1 %.
        """
        wanted = share * sum(self.buckets.values())
        passed = 0
        for bucket, count in sorted(self.buckets.items()):
            passed += count
            if passed >= wanted:
                return round(math.exp(bucket * STEP))
        return None
