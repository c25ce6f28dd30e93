from __future__ import annotations

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from examples.orders.flow import OrderEnded
from examples.orders.tally import Tally

times_us = st.lists(st.integers(1, 10**10), min_size=1, max_size=200)


def processed(took_us: int) -> OrderEnded:
    return OrderEnded("order", "PROCESSED", took_us=took_us)


@given(times_us, st.floats(0.01, 1.0))
def test_a_quantile_is_exact_to_one_per_cent(took_us: list[int], share: float) -> None:
    tally = Tally()
    tally.add(map(processed, took_us))

    exact = sorted(took_us)[math.ceil(share * len(took_us)) - 1]
    found = tally.quantile_us(share)
    assert found is not None
    assert abs(found - exact) <= 0.0101 * exact + 1


@given(times_us)
def test_a_tally_kept_in_state_goes_on_where_it_was(took_us: list[int]) -> None:
    whole, parts = Tally(), Tally()
    whole.add(map(processed, took_us))
    for each in took_us:
        parts.add([processed(each)])
        parts = msgspec.json.decode(msgspec.json.encode(parts), type=Tally)

    assert parts == whole
    assert parts.orders == len(took_us)


def test_orders_that_were_not_processed_have_no_latency() -> None:
    tally = Tally()
    tally.add([OrderEnded("a", "INVALID"), OrderEnded("b", "INVALID"), OrderEnded("c", "BLOCKED")])

    assert tally.outcomes == {"INVALID": 2, "BLOCKED": 1}
    assert tally.quantile_us(0.5) is None


def test_a_clock_that_went_back_makes_no_error() -> None:
    tally = Tally()
    tally.add([processed(-5)])

    assert tally.quantile_us(0.5) == 1
