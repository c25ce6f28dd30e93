"""When a failed event is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core.errors import CodecError, ConfigError, HandlerError, Unavailable
from motet.resilience import RetryPolicy

policies = st.builds(
    RetryPolicy,
    tries=st.integers(1, 50),
    base_s=st.floats(0, 100),
    cap_s=st.floats(0, 1000),
    jitter_s=st.floats(0, 10),
)


def test_the_defaults_are_the_figures_of_the_article() -> None:
    policy = RetryPolicy()
    assert policy.tries == 5
    assert [policy.delay_s(n, random=0.0) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert policy.delay_s(1, random=0.5) == 1.5


@given(policies, st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_lies_between_the_backoff_and_the_backoff_plus_jitter(
    policy: RetryPolicy, attempt: int, random: float
) -> None:
    delay_s = policy.delay_s(attempt, random=random)
    low_s = min(policy.cap_s, policy.base_s * 2 ** min(attempt - 1, 62))
    assert low_s <= delay_s <= low_s + policy.jitter_s


@given(policies, st.integers(1, 100))
def test_delays_never_get_shorter_from_one_try_to_the_next(
    policy: RetryPolicy, attempt: int
) -> None:
    assert policy.delay_s(attempt, random=0.0) <= policy.delay_s(attempt + 1, random=0.0)


@given(st.integers(1, 20))
def test_an_event_that_always_fails_is_tried_exactly_so_often(tries: int) -> None:
    policy, attempt = RetryPolicy(tries=tries), 1
    while policy.again(ValueError(), attempt):
        attempt += 1
    assert attempt == tries


@pytest.mark.parametrize(
    "error", [CodecError("no"), ConfigError("no"), HandlerError("no", retryable=False)]
)
def test_what_can_never_work_is_not_tried_again(error: Exception) -> None:
    assert not RetryPolicy().again(error, 1)


@pytest.mark.parametrize(
    "error", [ValueError(), HandlerError("x"), Unavailable("x"), TimeoutError()]
)
def test_what_may_work_later_is_tried_again(error: Exception) -> None:
    assert RetryPolicy().again(error, 1)


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"base_s": -1.0}, {"cap_s": -1.0}])
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        RetryPolicy(**wrong)
