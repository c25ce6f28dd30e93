"""Schedules: ticks on the clock's face, the same event from every process."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core.clock import parse_time
from motet.core.errors import ConfigError
from motet.core.ids import valid_uuid
from motet.handlers import Handlers, Schedule

INSTANTS = st.integers(0, 4_000_000_000_000_000)


def every(when: float | str, **options: str) -> Schedule:
    return Handlers("shop").every(when, "ticks", "minute.passed", {"n": 1}, **options)


def at(text: str) -> int:
    return parse_time(text)


@pytest.mark.parametrize(
    ("when", "after", "tick"),
    [
        (60, "2026-01-01T10:00:00Z", "2026-01-01T10:01:00Z"),
        (60, "2026-01-01T10:00:59.999999Z", "2026-01-01T10:01:00Z"),
        (0.5, "2026-01-01T10:00:00.1Z", "2026-01-01T10:00:00.5Z"),
        ("*/15 * * * *", "2026-01-01T10:00:00Z", "2026-01-01T10:15:00Z"),
        ("0 9 * * MON", "2026-01-01T10:00:00Z", "2026-01-05T09:00:00Z"),
        ("0 0 29 2 *", "2026-01-01T10:00:00Z", "2028-02-29T00:00:00Z"),
        ("*/10 * * * * *", "2026-01-01T10:00:00.000001Z", "2026-01-01T10:00:10Z"),
    ],
)
def test_the_next_tick(when: float | str, after: str, tick: str) -> None:
    assert every(when).next_us(at(after)) == at(tick)


@given(after_us=INSTANTS, when=st.sampled_from([0.25, 7.0, 86_400.0, "* * * * *", "*/7 3 * * *"]))
def test_ticks_are_later_and_none_is_left_out(after_us: int, when: float | str) -> None:
    schedule = every(when)
    tick_us = schedule.next_us(after_us)

    assert tick_us > after_us
    assert schedule.next_us(tick_us - 1) == tick_us
    assert schedule.next_us((after_us + tick_us) // 2) == tick_us


@given(tick_us=INSTANTS)
def test_a_tick_makes_the_same_event_wherever_it_is_made(tick_us: int) -> None:
    here, there = every(60).event(tick_us), every(60).event(tick_us)

    assert here == there
    assert valid_uuid(here.id)
    assert here.id != every(60).event(tick_us + 60_000_000).id
    assert here.id != every(60, name="other").event(tick_us).id


def test_the_event_of_a_tick() -> None:
    event = every(60, name="beat").event(at("2026-01-01T10:01:00Z"))

    assert (event.type, event.key, event.source) == ("minute.passed", "beat", "/shop/beat")
    assert event.time == "2026-01-01T10:01:00.000000Z"
    assert msgspec.json.decode(event.data) == {"n": 1}
    assert every(60, key="k").event(0).key == "k"


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (0, "every 0 s is under 1 ms"),
        (-5, "under 1 ms"),
        (float("nan"), "under 1 ms"),
        ("", "an interval or a cron line"),
        ("* * *", "is no cron line"),
        ("61 * * * *", "is no cron line: Bad minute"),
        ("0 0 30 2 *", "'0 0 30 2 \\*' "),
    ],
)
def test_a_wrong_schedule(when: float | str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        every(when)
    assert "'minute.passed'" in str(caught.value)


def test_names_of_schedules_are_unique() -> None:
    app = Handlers("shop")
    first = app.every(60, "ticks", "minute.passed")
    with pytest.raises(ConfigError, match="give one another name="):
        app.every(61, "ticks", "minute.passed")
    second = app.every(61, "ticks", "minute.passed", name="second")

    assert app.schedules == (first, second)
