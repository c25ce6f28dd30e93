"""What goes wrong with an order's event on its way, and how often.

The shares are fixed and drawn by hashing the purchase's name, so which events they hit is known.

| kind | share | what is published | what should become of it |
|---|---|---|---|
| malformed | 0.6 % | in its place, bytes that are no such event: six defects | dead letter |
| invalid | 0.8 % | in its place, one that decodes but is wrong: four defects | `failed_orders` |
| duplicate | 1 % | the event, and its bytes again 10 s to 24 h later | worked once |
| late | 1.2 % | the event, 2 to 72 h after its turn | worked, out of the customer's order |

The times are event time, as `createdAt` has it; the defects of a kind are equally frequent.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import msgspec

from .chances import digest, pick, shares
from .events import ENCODER, Envelope
from .purchases import Purchase

Kind = Literal["ok", "malformed", "invalid", "duplicate", "late"]
Defect = Literal[
    "not-json",
    "truncated",
    "bad-utf8",
    "nan",
    "price-text",
    "items-text",
    "no-customer",
    "no-items",
    "zero-quantity",
    "wrong-total",
]

_KINDS: tuple[Kind, ...] = ("malformed", "invalid", "duplicate", "late", "ok")
_KIND_SUMS = (0.006, 0.014, 0.024, 0.036, 1.0)
DUPLICATE_AFTER_S = (10, 24 * 3600)
LATE_BY_S = (2 * 3600, 72 * 3600)

Plain = dict[str, Any]  # an event as JSON has it


class Fate(msgspec.Struct, frozen=True):
    """What happens to one order's event."""

    kind: Kind
    defect: Defect | None = None  # of "malformed" and "invalid"
    delay_us: int = 0  # event time until a late one, or the copy of a duplicated one, is published


def fate_of(purchase: Purchase) -> Fate:
    """Draws what happens to the event of a purchase; "duplicate" says that there will be a copy."""
    which, defect, delay = shares("fate", purchase.customer, purchase.ordinal)[:3]
    kind = _KINDS[pick(which, _KIND_SUMS)]
    if kind in ("malformed", "invalid"):
        choices = list(_MALFORMED if kind == "malformed" else _INVALID)
        return Fate(kind, choices[int(defect * len(choices))])
    low_s, high_s = {"duplicate": DUPLICATE_AFTER_S, "late": LATE_BY_S}.get(kind, (0, 0))
    return Fate(kind, delay_us=int((low_s + delay * (high_s - low_s)) * 1_000_000))


def spoil(envelope: Envelope, defect: Defect) -> bytes:
    """Writes an event with a defect; one line whatever the defect."""
    if defect in _INVALID:
        event = msgspec.to_builtins(envelope, builtin_types=(Decimal,))
        _INVALID[defect](event["payload"])
        return ENCODER.encode(event)
    return _MALFORMED[defect](ENCODER.encode(envelope))


def _not_json(event: bytes) -> bytes:
    return b"\x00\x01" + digest(48, event).replace(b"\n", b".").replace(b"\r", b".")


def _truncated(event: bytes) -> bytes:
    return event[: len(event) // 4 + digest(1, event)[0]]


def _bad_utf8(event: bytes) -> bytes:
    return event.replace(b'"shippingAddress":"', b'"shippingAddress":"\xff\xfe')


def _nan(event: bytes) -> bytes:
    before, total, after = event.partition(b'"total":')
    return before + total + b"NaN" + after[after.index(b",") :]


def _price_text(event: bytes) -> bytes:
    before, price, after = event.partition(b'"price":')
    number, comma, rest = after.partition(b",")
    return before + price + b'"$' + number + b'"' + comma + rest


def _items_text(event: bytes) -> bytes:
    before, items, after = event.partition(b'"items":')
    return before + items + b'"see attachment"' + after[after.index(b"]") + 1 :]


def _no_customer(payload: Plain) -> None:
    del payload["customerId"], payload["userId"]


def _no_items(payload: Plain) -> None:
    payload["items"] = []


def _zero_quantity(payload: Plain) -> None:
    payload["items"][0]["quantity"] = 0


def _wrong_total(payload: Plain) -> None:
    payload["total"] += 1


_MALFORMED: dict[Defect, Callable[[bytes], bytes]] = {
    "not-json": _not_json,
    "truncated": _truncated,
    "bad-utf8": _bad_utf8,
    "nan": _nan,
    "price-text": _price_text,
    "items-text": _items_text,
}
_INVALID: dict[Defect, Callable[[Plain], None]] = {
    "no-customer": _no_customer,
    "no-items": _no_items,
    "zero-quantity": _zero_quantity,
    "wrong-total": _wrong_total,
}
