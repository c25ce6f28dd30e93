"""What the services of the pipeline tell one another: one Struct per event type.

The order itself travels on unread, as it came (`order`); a service opens it where it needs more
than the few fields beside it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from motet import event

from .events import OrderCreated
from .risk import Decision, Features

Outcome = Literal["PROCESSED", "REVIEW", "BLOCKED", "OUT_OF_STOCK", "PAYMENT_DECLINED", "INVALID"]
Strategy = Literal["STANDARD", "EXPRESS", "INTERNATIONAL"]
Priority = Literal["HIGH", "NORMAL"]

Units = dict[str, int]
"""Units by SKU."""

open_order = msgspec.json.Decoder(OrderCreated).decode


@event("inventory.delivered")
class StockDelivered(msgspec.Struct, frozen=True, rename="camel"):
    """A warehouse has units to sell that it did not have before."""

    warehouse: str
    units: Units


@event("inventory.check")
class CheckInventory(msgspec.Struct, frozen=True, rename="camel"):
    """An order is valid: set aside what it wants, all of it or nothing."""

    order_id: str
    customer_id: str
    warehouse: str
    units: Units
    accepted_us: int  # when the order was published, microseconds since 1970
    order: msgspec.Raw


@event("inventory.checked")
class InventoryChecked(msgspec.Struct, frozen=True, rename="camel"):
    """All that an order wants is set aside for it."""

    order_id: str
    warehouse: str
    units: Units
    accepted_us: int
    order: msgspec.Raw


@event("inventory.release")
class ReleaseStock(msgspec.Struct, frozen=True, rename="camel"):
    """An order that had units set aside will not be shipped."""

    order_id: str
    warehouse: str
    units: Units


@event("fraud.predicted")
class FraudPredicted(msgspec.Struct, frozen=True, rename="camel"):
    """What the fraud detection saw and said: training data for the next one."""

    order_id: str
    risk_score: float  # 0 to 1
    recommendation: Decision
    features: Features


@event("review.requested")
class ReviewRequested(msgspec.Struct, frozen=True, rename="camel"):
    """A person has to look at an order; its units stay set aside."""

    order_id: str
    risk_score: float
    order: msgspec.Raw


@event("payment.requested")
class PaymentRequested(msgspec.Struct, frozen=True, rename="camel"):
    """An order is approved: take the money."""

    order_id: str
    warehouse: str
    units: Units
    amount_cents: int
    currency: str
    accepted_us: int
    order: msgspec.Raw


@event("order.processed")
class OrderProcessed(msgspec.Struct, frozen=True, rename="camel"):
    """An order is paid for."""

    order_id: str
    amount_cents: int
    currency: str
    accepted_us: int
    order: msgspec.Raw


@event("fulfillment.task")
class FulfillmentTask(msgspec.Struct, frozen=True, rename="camel"):
    """One line of an order, to be picked and packed."""

    task_id: str
    order_id: str
    sku: str
    quantity: int
    strategy: Strategy
    priority: Priority


@event("order.failed")
class OrderFailed(msgspec.Struct, frozen=True, rename="camel"):
    """An order is wrong: the article's row of `failed_orders`."""

    order_id: str
    reason: str


@event("order.ended")
class OrderEnded(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What became of an order: published once for each that is no dead letter."""

    order_id: str
    outcome: Outcome
    reason: str = ""  # why it was not processed
    took_us: int | None = None  # from `order.created` to `order.processed`, where it came to that
