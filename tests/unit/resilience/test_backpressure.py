"""How many may be under way at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core.errors import ConfigError
from motet.resilience import BackPressure


def _complete(limit: BackPressure, latency_s: float, times: int) -> None:
    for _ in range(times):
        while limit.admit():
            pass
        limit.done(latency_s)


def test_no_more_are_admitted_than_the_limit() -> None:
    limit = BackPressure(max_in_flight=3)
    assert [limit.admit() for _ in range(5)] == [True, True, True, False, False]
    limit.done(0.1)
    assert limit.admit()


def test_a_service_that_slows_down_with_load_is_given_less_until_it_is_fast_enough() -> None:
    limit = BackPressure(max_in_flight=100, target_latency_s=1.0)
    for _ in range(5_000):
        while limit.admit():
            pass
        limit.done(0.1 * limit.in_flight)  # ten at once take a second
    assert 5 <= limit.limit <= 16


def test_a_service_that_is_slow_by_nature_keeps_its_places() -> None:
    limit = BackPressure(max_in_flight=100, target_latency_s=1.0)
    seen = []
    for _ in range(20_000):
        while limit.admit():
            pass
        limit.done(5.0)
        seen.append(limit.limit)
    assert min(seen) >= 70
    assert sum(seen) / len(seen) > 95


def test_the_limit_never_falls_to_nothing() -> None:
    limit = BackPressure(max_in_flight=100, target_latency_s=0.001)
    for _ in range(10_000):
        while limit.admit():
            pass
        limit.done(float(limit.in_flight))
    assert limit.limit >= 1


def test_a_single_slow_one_among_fast_ones_changes_nothing() -> None:
    limit = BackPressure(max_in_flight=100, target_latency_s=1.0)
    _complete(limit, 0.1, 99)
    _complete(limit, 30.0, 1)
    assert limit.limit == 100


def test_the_limit_grows_back_once_latency_is_at_the_target_again() -> None:
    limit = BackPressure(max_in_flight=50, target_latency_s=1.0)
    _complete(limit, 5.0, 2_000)
    _complete(limit, 0.5, 2_000)
    assert limit.limit == 50


def test_between_the_target_and_one_and_a_half_times_it_nothing_changes() -> None:
    limit = BackPressure(max_in_flight=10, target_latency_s=1.0)
    _complete(limit, 1.4, 1_000)
    assert limit.limit == 10


def test_the_limit_shrinks_once_per_window() -> None:
    limit = BackPressure(max_in_flight=100, target_latency_s=1.0)
    seen: list[int] = []
    for latency_s, times in ((2.0, 100), (1.7, 70), (1.5, 1)):
        for _ in range(times):
            while limit.admit():
                pass
            limit.done(latency_s)
            seen.append(limit.limit)

    assert seen == [100] * 99 + [70] * 70 + [49] * 2


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=300), st.integers(1, 20))
def test_the_places_given_and_taken_always_add_up(
    steps: list[tuple[bool, float]], most: int
) -> None:
    limit = BackPressure(max_in_flight=most)
    taken = 0
    for admit, latency_s in steps:
        if admit:
            taken += limit.admit()
        elif taken:
            limit.done(latency_s)
            taken -= 1
        assert limit.in_flight == taken <= most
        assert 1 <= limit.limit <= most


@pytest.mark.parametrize("wrong", [{"max_in_flight": 0}, {"target_latency_s": 0.0}])
def test_a_limit_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        BackPressure(**wrong)
