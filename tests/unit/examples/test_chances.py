from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.orders.chances import digest, pick, shares, time_ordered_id

UUID_7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_the_dice_fall_the_same_way_always() -> None:
    assert shares("order", 1, 1) == shares("order", 1, 1)
    assert digest(4, "pinned").hex() == "ae981e89"


def test_dice_of_different_names_are_unlike() -> None:
    rolls = {shares("order", customer, 1)[0] for customer in range(1000)}
    assert len(rolls) == 1000
    assert sum(rolls) / 1000 == pytest.approx(0.5, abs=0.03)


@given(st.floats(0, 1, exclude_max=True))
def test_a_share_falls_into_the_class_whose_sums_enclose_it(share: float) -> None:
    sums = (0.1, 0.1, 0.7, 1.0)
    chosen = pick(share, sums)
    assert (0.0, *sums)[chosen] <= share < sums[chosen]


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_7_that_holds_its_time(time_ms: int, bits: bytes) -> None:
    text = time_ordered_id(time_ms, bits)
    assert UUID_7.fullmatch(text)
    assert int(text.replace("-", "")[:12], 16) == time_ms


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_an_id_of_a_later_millisecond_sorts_later(bits: bytes, others: bytes) -> None:
    assert time_ordered_id(852_076_800_000, bits) < time_ordered_id(852_076_800_001, others)
