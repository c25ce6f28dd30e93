"""The validation agent of section 13 as a pure function."""

from __future__ import annotations

from .events import OrderCreated

HIGH_VALUE_CENTS = 100_000  # the article: totals above 1000 are high-value


def problems(order: OrderCreated) -> list[str]:
    """Says what is wrong with an order, in the article's words where it has them."""
    found = []
    if not order.customer_id:
        found.append("Missing customer ID")
    if not order.items:
        found.append("Empty order")
    if any(item.quantity < 1 for item in order.items):
        found.append("Quantity below one")
    if any(item.price < 0 for item in order.items):
        found.append("Negative price")
    if order.items and sum(item.cents for item in order.items) != order.total_cents:
        found.append("Total is not the sum of the items")
    return found


def high_value(order: OrderCreated) -> bool:
    """Says whether fulfilment treats the order with priority."""
    return order.total_cents > HIGH_VALUE_CENTS
