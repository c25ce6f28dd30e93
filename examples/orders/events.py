"""What an order looks like on the wire: the article's envelope around its `order.created`.

Money is a decimal with two places there, `25.98`, and whole cents everywhere else.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

ORDER_CREATED: Final = "order.created"
AGENT_ID = "storefront"
CURRENCY = "USD"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

ENCODER = msgspec.json.Encoder(decimal_format="number")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an order."""

    sku: str
    quantity: int
    price: Decimal  # of one unit, in the order's currency
    category: str

    @property
    def cents(self) -> int:
        """What the line costs."""
        return self.quantity * to_cents(self.price)


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the shop's page knew beside the order."""

    device_fingerprint: str | None = None


class OrderCreated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A customer placed an order.

    `customer_id` and `items` may be missing, so that such an order reaches the validation, which
    says so, rather than failing to decode. Addresses are a country and a hash, `US-9f86d081`:
    enough to compare.
    """

    agent_id: str
    session_id: str  # the customer, whose orders stay in sequence
    user_id: str | None = None
    id: str  # a UUID; also the correlation id of everything that follows
    customer_id: str | None = None
    items: tuple[Item, ...] = ()
    total: Decimal
    currency: str
    created_at: datetime
    billing_address: str
    shipping_address: str
    is_express: bool
    is_international: bool
    warehouse: str  # code of the one that ships
    metadata: Metadata = Metadata()

    @property
    def created_us(self) -> int:
        """When it was placed, in microseconds since 1970."""
        return (self.created_at - _EPOCH) // _MICROSECOND

    @property
    def total_cents(self) -> int:
        """What the customer is to pay."""
        return to_cents(self.total)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The article's event, section 1."""

    event_id: str
    event_type: Literal["order.created"] = ORDER_CREATED
    timestamp: datetime
    correlation_id: str
    version: int = 1
    payload: OrderCreated


def to_cents(amount: Decimal) -> int:
    """Turns an amount into whole cents; what is beyond two places is rounded half to even."""
    return round(amount * 100)


def to_amount(cents: int) -> Decimal:
    """Turns cents into an amount that is written with exactly two places."""
    return Decimal(cents).scaleb(-2)


def at(time_us: int) -> datetime:
    """Gives the UTC instant of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=time_us)
