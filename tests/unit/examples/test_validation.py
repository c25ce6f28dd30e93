from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from examples.orders.events import OrderCreated
from examples.orders.purchases import FIRST_DAY, Purchase
from examples.orders.rules import order_of
from examples.orders.validation import high_value, problems

ORDER = order_of(Purchase(FIRST_DAY, 1, 1, 2, 2_400))


def but(**changes: object) -> OrderCreated:
    return msgspec.structs.replace(ORDER, **changes)


def test_a_sound_order_has_no_problems() -> None:
    assert problems(ORDER) == []


def test_problems_have_the_words_of_the_article_and_come_together() -> None:
    assert problems(but(customer_id="", items=())) == ["Missing customer ID", "Empty order"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"quantity": 0}, "Quantity below one"),
        ({"price": Decimal("-1.00")}, "Negative price"),
        ({"price": Decimal("99.00")}, "Total is not the sum of the items"),
    ],
)
def test_an_item_that_makes_no_sense_is_a_problem(change: dict[str, object], problem: str) -> None:
    first, *rest = ORDER.items
    assert problem in problems(but(items=(msgspec.structs.replace(first, **change), *rest)))


def test_an_order_is_of_high_value_above_a_thousand_and_not_at_it() -> None:
    assert not high_value(but(total=Decimal("1000.00")))
    assert high_value(but(total=Decimal("1000.01")))
