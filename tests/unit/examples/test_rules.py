from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.orders.catalogue import WAREHOUSES, skus
from examples.orders.events import at, to_amount, to_cents
from examples.orders.purchases import FIRST_DAY, LAST_DAY, Purchase
from examples.orders.rules import created_us, event_id_of, order_of, takeover
from examples.orders.validation import problems

CODES = {sku.code for sku in skus()}

bought = st.builds(
    Purchase,
    day=st.dates(FIRST_DAY, LAST_DAY),
    customer=st.integers(1, 99_999),
    ordinal=st.integers(1, 300),
    quantity=st.integers(1, 99),
    value_cents=st.integers(0, 200_000),
)


@given(bought)
def test_an_order_costs_exactly_what_was_paid_in_one_to_three_lines(purchase: Purchase) -> None:
    order = order_of(purchase)
    assert problems(order) == []
    assert order.total_cents == purchase.value_cents
    assert sum(item.quantity for item in order.items) == purchase.quantity
    assert 1 <= len(order.items) <= 3


@given(bought)
def test_the_lines_of_an_order_are_different_titles_of_the_catalogue(purchase: Purchase) -> None:
    titles = [item.sku for item in order_of(purchase).items]
    assert len(set(titles)) == len(titles)
    assert CODES.issuperset(titles)


@given(bought)
def test_an_order_is_placed_on_the_day_of_its_purchase(purchase: Purchase) -> None:
    order = order_of(purchase)
    assert order.created_at.date() == purchase.day
    assert order.created_us == created_us(purchase)
    assert at(order.created_us) == order.created_at


@given(bought)
def test_an_order_ships_from_a_warehouse_that_serves_its_country(purchase: Purchase) -> None:
    order = order_of(purchase)
    place = next(place for place in WAREHOUSES if place.code == order.warehouse)
    country = order.shipping_address[:2]
    assert country in place.countries
    assert order.is_international == (country != place.countries[0])


@given(bought)
def test_order_and_event_have_ids_of_their_own_under_the_same_time(purchase: Purchase) -> None:
    order, event_id = order_of(purchase), event_id_of(purchase)
    assert order.id != event_id
    assert order.id[:13] == event_id[:13]


def test_the_orders_of_one_customer_on_one_day_come_within_one_sitting() -> None:
    orders = [Purchase(date(1997, 5, 1), 42, ordinal, 1, 999) for ordinal in range(1, 9)]
    honest = [created_us(purchase) for purchase in orders if not takeover(purchase)]
    assert 0 < max(honest) - min(honest) <= 40 * 60 * 1_000_000


def test_an_order_does_not_depend_on_those_made_before_it(generated: list[Purchase]) -> None:
    forward = [order_of(purchase) for purchase in generated[:2000]]
    backward = [order_of(purchase) for purchase in reversed(generated[:2000])]
    assert forward == backward[::-1]


def test_the_shares_of_the_rules_are_met(generated: list[Purchase]) -> None:
    honest = [order_of(purchase) for purchase in generated[:20_000] if not takeover(purchase)]
    gifts = sum(order.billing_address != order.shipping_address for order in honest)
    assert 1 - len(honest) / 20_000 == pytest.approx(0.03, abs=0.003)
    assert gifts / len(honest) == pytest.approx(0.06, abs=0.004)
    assert sum(order.is_express for order in honest) / len(honest) == pytest.approx(0.15, abs=0.006)
    assert sum(order.created_at.hour < 6 for order in honest) / len(honest) < 0.08


@given(st.integers(0, 10**12))
def test_cents_survive_the_wire(cents: int) -> None:
    assert to_cents(to_amount(cents)) == cents
    assert to_amount(cents) == Decimal(f"{cents // 100}.{cents % 100:02d}")
