"""The order pipeline of section 13: six services, each a consumer group of one app.

`README.md` draws the flow and says which topics have one partition, and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from motet import App, Context, Draft, Event, RetryPolicy, State, emit
from motet.core.clock import parse_time
from motet.core.errors import CodecError

from .events import ORDER_CREATED, OrderCreated
from .flow import (
    CheckInventory,
    FraudPredicted,
    FulfillmentTask,
    InventoryChecked,
    OrderEnded,
    OrderFailed,
    OrderProcessed,
    Outcome,
    PaymentRequested,
    Priority,
    ReleaseStock,
    ReviewRequested,
    StockDelivered,
    Strategy,
    open_order,
)
from .payments import Payment, ask
from .risk import CustomerHistory, decide, features, score
from .tally import Tally
from .validation import high_value, problems

# One partition: these are read in the order in which orders came, whatever their key.
ORDERS = "order.created"
INVENTORY = "inventory.check"
OUTCOMES = "orders.outcomes"  # one partition too, so that there is one total

CHECKED = "inventory.checked"
RELEASES = "inventory.release"
PREDICTIONS = "fraud.predictions"
REVIEWS = "manual_review_queue"
PAYMENTS = "payment.requested"
PROCESSED = "order.processed"
TASKS = "fulfillment.tasks"
FAILED = "failed_orders"

PARTITIONS = {ORDERS: 1, INVENTORY: 1, OUTCOMES: 1} | dict.fromkeys(
    (CHECKED, RELEASES, PREDICTIONS, REVIEWS, PAYMENTS, PROCESSED, TASKS, FAILED), 4
)
"""Every topic of the pipeline and its number of partitions."""

TALLY = "tally"  # key of the total in the state of the group `outcomes`

# A bank that did not answer may do so a moment later; nobody wants to wait for a demonstration.
BANK_RETRIES = RetryPolicy(tries=5, base_s=0.05, cap_s=1.0, jitter_s=0.05)

app = App("orders")


@app.on(ORDERS, ORDER_CREATED, group="validation")
def validate(order: OrderCreated, event: Event, context: Context) -> list[Draft]:
    """Let valid orders through to the inventory of the warehouse that ships them."""
    found = problems(order)
    if found or order.customer_id is None:
        reason = ", ".join(found)
        return [emit(FAILED, OrderFailed(order.id, reason)), _ended(order.id, "INVALID", reason)]
    units = Counter[str]()
    for item in order.items:
        units[item.sku] += item.quantity
    check = CheckInventory(
        order_id=order.id,
        customer_id=order.customer_id,
        warehouse=order.warehouse,
        units=dict(units),
        accepted_us=_published_us(event) or context.now_us,
        order=event.data,
    )
    return [emit(INVENTORY, check, key=order.warehouse)]


def _shelves(stock: CheckInventory | StockDelivered) -> list[str]:
    return [f"{stock.warehouse}/{sku}" for sku in stock.units]


def _returns(stock: ReleaseStock) -> list[str]:
    return [f"returned/{stock.warehouse}/{sku}" for sku in stock.units]


@app.on(INVENTORY, group="inventory", state=_shelves)
def deliver(delivered: StockDelivered, state: State) -> None:
    """Put units on the shelves."""
    for key, (_, units) in zip(_shelves(delivered), delivered.units.items(), strict=True):
        state.put((state.get(int, key) or 0) + units, key)


@app.on(INVENTORY, group="inventory", state=_shelves)
def reserve(check: CheckInventory, state: State) -> Draft:
    """Set aside what an order wants, if all of it is there."""
    left = {}
    for key, (sku, units) in zip(_shelves(check), check.units.items(), strict=True):
        on_hand = state.get(int, key) or 0
        if on_hand < units:
            reason = f"{check.warehouse} has {on_hand} of {sku}, {units} wanted"
            return _ended(check.order_id, "OUT_OF_STOCK", reason)
        left[key] = on_hand - units
    for key, units in left.items():
        state.put(units, key)
    checked = InventoryChecked(
        check.order_id, check.warehouse, check.units, check.accepted_us, check.order
    )
    return emit(CHECKED, checked, key=check.customer_id)


@app.on(RELEASES, group="inventory", state=_returns)
def take_back(release: ReleaseStock, state: State) -> None:
    """Count units that come back.

    They are for sale again after the next stock-taking, not at once: who gets the last one would
    hang on when the news of a blocked order happens to arrive.
    """
    for key, (_, units) in zip(_returns(release), release.units.items(), strict=True):
        state.put((state.get(int, key) or 0) + units, key)


@app.on(CHECKED, group="fraud")
def detect(checked: InventoryChecked, state: State) -> Iterator[Draft]:
    """Score an order against its customer's history, which is the state under the event's key."""
    order = open_order(checked.order)
    history = state.get(CustomerHistory) or CustomerHistory()
    seen = features(order, history)
    risk = score(seen)
    decision = decide(risk)
    state.put(history.after(order))
    yield emit(PREDICTIONS, FraudPredicted(checked.order_id, risk, decision, seen))
    if decision == "APPROVE":
        yield emit(PAYMENTS, _payment(checked, order))
        return
    reason = f"risk {risk:.2f}"
    if decision == "REVIEW":
        yield emit(REVIEWS, ReviewRequested(checked.order_id, risk, checked.order))
        yield _ended(checked.order_id, "REVIEW", reason)
    else:
        yield _release(checked)
        yield _ended(checked.order_id, "BLOCKED", reason)


@app.on(PAYMENTS, group="payment", state=lambda asked: asked.order_id, retry=BANK_RETRIES)
def take_payment(asked: PaymentRequested, state: State, context: Context) -> Iterator[Draft]:
    """Take an order's money, once: what the ledger has is not asked for again."""
    if state.get(Payment) is not None:
        return
    answer = ask(asked.order_id, context.attempt)
    state.put(Payment(answer, asked.amount_cents))
    if answer == "DECLINED":
        yield _release(asked)
        yield _ended(asked.order_id, "PAYMENT_DECLINED", "declined by the bank")
        return
    processed = OrderProcessed(
        asked.order_id, asked.amount_cents, asked.currency, asked.accepted_us, asked.order
    )
    yield emit(PROCESSED, processed)


@app.on(PROCESSED, group="fulfillment")
def fulfil(processed: OrderProcessed, context: Context) -> Iterator[Draft]:
    """Make a task of each line of a paid order."""
    order = open_order(processed.order)
    strategy: Strategy = "EXPRESS" if order.is_express else "STANDARD"
    if order.is_international:
        strategy = "INTERNATIONAL"
    priority: Priority = "HIGH" if high_value(order) else "NORMAL"
    for number, item in enumerate(order.items, start=1):
        task_id = f"{order.id}/{number}"
        task = FulfillmentTask(task_id, order.id, item.sku, item.quantity, strategy, priority)
        yield emit(TASKS, task)
    # That the next service has it in hand is the proof that it is in the log.
    yield _ended(order.id, "PROCESSED", took_us=context.now_us - processed.accepted_us)


@app.on(OUTCOMES, group="outcomes", batch=True, state=lambda ended: TALLY)
def count(ended: list[OrderEnded], state: State) -> None:
    """Add to the total."""
    tally = state.get(Tally) or Tally()
    tally.add(ended)
    state.put(tally)


def _ended(
    order_id: str, outcome: Outcome, reason: str = "", *, took_us: int | None = None
) -> Draft:
    return emit(OUTCOMES, OrderEnded(order_id, outcome, reason, took_us))


def _payment(checked: InventoryChecked, order: OrderCreated) -> PaymentRequested:
    return PaymentRequested(
        order_id=checked.order_id,
        warehouse=checked.warehouse,
        units=checked.units,
        amount_cents=order.total_cents,
        currency=order.currency,
        accepted_us=checked.accepted_us,
        order=checked.order,
    )


def _release(of: InventoryChecked | PaymentRequested) -> Draft:
    """Give back what was set aside; by warehouse, so that its counts have one writer."""
    return emit(RELEASES, ReleaseStock(of.order_id, of.warehouse, of.units), key=of.warehouse)


class _Published(msgspec.Struct, rename="camel"):
    published_at: str = ""


def _published_us(event: Event) -> int | None:
    """Gives the instant that whoever published an order noted beside it, if it is one."""
    try:
        text = msgspec.json.decode(event.metadata, type=_Published).published_at
        return parse_time(text)
    except (msgspec.DecodeError, CodecError):
        return None
