from __future__ import annotations

from collections import Counter

from examples.orders.payments import DECLINE_SHARE, OUTAGE_SHARE, TIMEOUT_SHARE
from tests.unit.examples.shop import answer


def test_a_bank_answers_in_the_shares_its_rules_name() -> None:
    said = Counter(answer(f"order-{number}", 1) for number in range(50_000))

    assert abs(said["BankDown"] / 50_000 - OUTAGE_SHARE) < 0.0005
    assert abs(said["BankTimeout"] / 50_000 - TIMEOUT_SHARE) < 0.003
    assert abs(said["DECLINED"] / 50_000 - DECLINE_SHARE) < 0.003


def test_the_same_try_has_the_same_answer() -> None:
    tries = [(f"order-{number}", attempt) for number in range(500) for attempt in (1, 2, 3)]

    assert [answer(*each) for each in tries] == [answer(*each) for each in tries]


def test_a_bank_that_says_something_says_the_same_at_every_try() -> None:
    for number in range(5000):
        said = {answer(f"order-{number}", attempt) for attempt in range(1, 6)} - {"BankTimeout"}
        assert len(said) <= 1
