"""Purchases and worked-off streams that several tests read; made once a session."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from examples.orders import purchases
from examples.orders.catalogue import initial_stock
from examples.orders.events import Envelope, OrderCreated
from examples.orders.orders import Line, order_lines
from examples.orders.purchases import NotFetched, Purchase
from examples.orders.risk import CustomerHistory, decide, features, score
from examples.orders.rules import takeover
from examples.orders.validation import problems


class Worked(msgspec.Struct):
    """What becomes of a stream: counts of what a pipeline without faults would do."""

    lines: Counter[str]
    outcomes: Counter[str]
    blocked_takeovers: int
    takeovers: int


@pytest.fixture(scope="session")
def cdnow_cache(pytestconfig: pytest.Config) -> Path:
    cache = pytestconfig.cache
    assert cache is not None
    folder = Path(cache.mkdir("cdnow"))
    try:
        purchases.fetch(folder)
    except NotFetched as err:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no CDNOW: {err}")
    return folder


@pytest.fixture(scope="session")
def cdnow(cdnow_cache: Path) -> list[Purchase]:
    return purchases.load(cdnow_cache)


@pytest.fixture(scope="session")
def generated() -> list[Purchase]:
    return purchases.generate(purchases.DEFAULT_SEED, purchases.CDNOW_PURCHASES)


@pytest.fixture(scope="session")
def cdnow_worked(cdnow: list[Purchase]) -> Worked:
    return work(cdnow)


@pytest.fixture(scope="session")
def first_orders_worked(cdnow: list[Purchase]) -> Worked:
    return work(cdnow[:20_000])


@pytest.fixture(scope="session")
def generated_worked(generated: list[Purchase]) -> Worked:
    return work(generated)


def work(bought: list[Purchase]) -> Worked:
    """Runs the whole pipeline as plain calls, in one pass and without payment."""
    lines = list(order_lines(bought))
    stolen = {takeover_key(purchase) for purchase in bought if takeover(purchase)}
    stock = initial_stock(len(bought))
    histories: dict[str, CustomerHistory] = {}
    handled: set[str] = set()
    worked = Worked(Counter(line.kind for line in lines), Counter(), 0, 0)
    for line in lines:
        order = decoded(line, handled)
        outcome = order if isinstance(order, str) else outcome_of(order, stock, histories)
        worked.outcomes[outcome] += 1
        if isinstance(order, OrderCreated) and outcome in ("BLOCK", "REVIEW", "APPROVE"):
            taken = (order.session_id, order.total_cents, order.created_at.date()) in stolen
            worked.takeovers += taken
            worked.blocked_takeovers += taken and outcome == "BLOCK"
    return worked


def takeover_key(purchase: Purchase) -> tuple[object, ...]:
    return f"cust-{purchase.customer:05d}", purchase.value_cents, purchase.day


def decoded(line: Line, handled: set[str]) -> OrderCreated | str:
    try:
        event = msgspec.json.decode(line.value, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "dead letter"
    if event.event_id in handled:
        return "handled before"
    handled.add(event.event_id)
    return event.payload


def outcome_of(
    order: OrderCreated, stock: dict[tuple[str, str], int], histories: dict[str, CustomerHistory]
) -> str:
    if problems(order):
        return "failed"
    wanted = {(item.sku, order.warehouse): item.quantity for item in order.items}
    if any(stock[place] < quantity for place, quantity in wanted.items()):
        return "sold out"
    for place, quantity in wanted.items():
        stock[place] -= quantity
    history = histories.get(order.session_id, CustomerHistory())
    histories[order.session_id] = history.after(order)
    return decide(score(features(order, history)))
