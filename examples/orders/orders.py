"""The events the shop publishes: a line of JSON for each order, some spoiled, doubled or late."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import groupby, islice

import msgspec

from .events import ENCODER, Envelope
from .imperfections import Defect, Fate, Kind, fate_of, spoil
from .purchases import Purchase
from .rules import created_us, customer_id, event_id_of, order_of


class Line(msgspec.Struct, frozen=True):
    """One event to publish, with what the demo expects of it."""

    value: bytes  # JSON, or what should have been JSON; no line break
    kind: Kind
    key: str  # the customer, whose events keep their order; known even where the value is spoiled
    defect: Defect | None = None  # of "malformed" and "invalid"


def order_lines(purchases: Iterable[Purchase], *, limit: int | None = None) -> Iterator[Line]:
    """Gives the events of the first `limit` purchases in the order in which they are published.

    That is the order of `createdAt`, but for late events and the copies of duplicated ones. Every
    purchase gives one line, and every duplicated one a second: the copy, of kind "duplicate".
    Memory holds one day and the events delayed, whatever the length; `purchases` must be in order
    of day, as `open_purchases` gives them.

    Raises:
        ValueError: the purchases go back by a day.
    """
    delayed: list[tuple[int, int, Line]] = []  # a heap by time due, then by sequence
    for sequence, (now_us, purchase) in enumerate(_by_time(islice(purchases, limit))):
        while delayed and delayed[0][0] <= now_us:
            yield heapq.heappop(delayed)[2]
        fate = fate_of(purchase)
        line = _line(purchase, fate)
        if fate.delay_us:
            heapq.heappush(delayed, (now_us + fate.delay_us, sequence, line))
        if fate.kind == "duplicate":
            yield msgspec.structs.replace(line, kind="ok")
        elif fate.kind != "late":
            yield line
    while delayed:
        yield heapq.heappop(delayed)[2]


def envelope_of(purchase: Purchase) -> Envelope:
    """Wraps the order of a purchase in the article's envelope."""
    order = order_of(purchase)
    return Envelope(
        event_id=event_id_of(purchase),
        timestamp=order.created_at,
        correlation_id=order.id,
        payload=order,
    )


def _line(purchase: Purchase, fate: Fate) -> Line:
    envelope = envelope_of(purchase)
    value = spoil(envelope, fate.defect) if fate.defect else ENCODER.encode(envelope)
    return Line(value, fate.kind, customer_id(purchase.customer), fate.defect)


def _by_time(purchases: Iterable[Purchase]) -> Iterator[tuple[int, Purchase]]:
    last = date.min
    for day, of_day in groupby(purchases, key=lambda purchase: purchase.day):
        if day < last:
            raise ValueError(f"purchases of {day} come after those of {last}; sort them by day")
        last = day
        yield from sorted((created_us(purchase), purchase) for purchase in of_day)
