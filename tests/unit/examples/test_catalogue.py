from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.orders.catalogue import (
    CATEGORIES,
    WAREHOUSES,
    category_of,
    initial_stock,
    next_sku,
    sku_of,
    skus,
    warehouse_of,
)
from examples.orders.orders import envelope_of
from examples.orders.purchases import Purchase


def test_the_shop_offers_320_titles_and_ships_from_8_warehouses() -> None:
    assert len({sku.code for sku in skus()}) == len(skus()) == 320
    assert len({warehouse.code for warehouse in WAREHOUSES}) == 8


def test_the_list_price_of_a_title_lies_in_the_band_of_its_category() -> None:
    for sku in skus():
        assert category_of(sku.list_price_cents).name == sku.category


@pytest.mark.parametrize(
    ("unit_price_cents", "category"),
    [
        (0, "promo"),
        (1, "single"),
        (699, "single"),
        (700, "budget-album"),
        (9_999, "collectors-set"),
    ],
)
def test_a_unit_price_belongs_to_the_highest_band_it_reaches(
    unit_price_cents: int, category: str
) -> None:
    assert category_of(unit_price_cents).name == category


@given(st.sampled_from(CATEGORIES), st.floats(0, 1, exclude_max=True))
def test_every_draw_falls_on_a_title_of_the_category(category, share: float) -> None:
    codes = {sku.code for sku in skus() if sku.category == category.name}
    assert sku_of(category, share) in codes
    assert next_sku(category, sku_of(category, share)) in codes


def test_a_low_rank_sells_better_than_a_high_one() -> None:
    album = CATEGORIES[3]
    sold = Counter(sku_of(album, share / 10_000) for share in range(10_000))
    ranked = [sold[sku.code] for sku in skus() if sku.category == "album"]
    assert ranked[0] > 5 * ranked[10] > 25 * ranked[100] > 0


def test_shares_of_regions_and_categories_add_up_to_one() -> None:
    assert sum(warehouse.share for warehouse in WAREHOUSES) == pytest.approx(1)
    assert sum(category.share for category in CATEGORIES) == pytest.approx(1)
    assert warehouse_of(0.99_999_999_9).code == "SIN1"


@pytest.mark.slow
def test_category_shares_are_those_of_the_orders_made_from_cdnow(cdnow: list[Purchase]) -> None:
    units: Counter[str] = Counter()
    for purchase in cdnow:
        for item in envelope_of(purchase).payload.items:
            units[item.category] += item.quantity
    for category in CATEGORIES:
        assert units[category.name] / units.total() == pytest.approx(category.share, abs=0.001)


def test_every_title_is_on_hand_in_every_warehouse_and_best_sellers_grow_with_the_shop() -> None:
    small, large = initial_stock(20_000), initial_stock(70_000)
    assert set(small) == {(sku.code, place.code) for sku in skus() for place in WAREHOUSES}
    assert min(small.values()) > 0
    assert large["ALB-001", "EWR1"] == pytest.approx(3.5 * small["ALB-001", "EWR1"], rel=0.01)
