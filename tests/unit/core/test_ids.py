import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core.clock import format_time
from motet.core.ids import Derived, IdSource, valid_uuid

UUID_7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
NOON = "2026-05-25T12:00:00Z"


class JumpingClock:
    """A clock that shows the times it is given, one after the other, and then the last one."""

    def __init__(self, *times_us: int) -> None:
        self._times_us = list(times_us)

    def now_us(self) -> int:
        return self._times_us.pop(0) if len(self._times_us) > 1 else self._times_us[0]

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, delay_s: float) -> None:
        return None

    def random(self) -> float:
        return 0.0


def millisecond(id: str) -> int:
    return int(id[:8] + id[9:13], 16)


clocks = st.lists(st.integers(0, 2**47 * 1000), min_size=1, max_size=50)


@given(clocks, st.binary(max_size=16))
def test_ids_rise_however_the_clock_jumps(times_us: list[int], entropy: bytes) -> None:
    ids = IdSource(JumpingClock(*times_us), entropy=entropy)

    made = [ids.next() for _ in range(len(times_us) + 5)]

    assert made == sorted(set(made))
    assert all(UUID_7.fullmatch(id) for id in made)


@given(st.integers(0, 2**47))
def test_the_time_can_be_read_off_an_id(ms: int) -> None:
    assert millisecond(IdSource(JumpingClock(ms * 1000)).next()) == ms


def test_a_millisecond_whose_ids_are_used_up_goes_on_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = IdSource(JumpingClock(1_000_000), entropy=b"seed")
    before = ids.next()
    # The 74 bits are never used up in practice: the end is moved to where it stands now.
    monkeypatch.setattr("motet.core.ids._RANDOM_MAX", ids._random)

    after = [ids.next() for _ in range(3)]

    assert millisecond(before) == 1000
    assert millisecond(after[0]) == 1001
    assert [before, *after] == sorted({before, *after})
    assert all(UUID_7.fullmatch(id) for id in after)


def test_a_clock_that_stands_still_does_not_run_out_of_ids() -> None:
    ids = IdSource(JumpingClock(1_000_000))

    made = [ids.next() for _ in range(20_000)]

    assert made == sorted(set(made))
    assert millisecond(made[-1]) == 1_000


def test_the_same_seed_gives_the_same_ids_again() -> None:
    one, other = (IdSource(JumpingClock(5_000, 9_000), entropy=b"seed") for _ in range(2))

    assert [one.next() for _ in range(5)] == [other.next() for _ in range(5)]


@pytest.mark.parametrize("now_us", [0, -1, 1_779_704_130_000_000])
def test_two_sources_never_meet_even_at_the_same_instant(now_us: int) -> None:
    sources = [IdSource(JumpingClock(now_us)) for _ in range(200)]

    starts = {int(source.next().replace("-", "")[16:], 16) >> 32 for source in sources}

    assert len(starts) > 190  # spread over the whole range, not counted up from one place


@given(st.text(max_size=20), st.text(max_size=40), st.integers(0, 1000))
def test_a_derived_id_is_the_same_at_every_try(handler: str, source: str, ordinal: int) -> None:
    one = Derived(handler).id(source, NOON, ordinal)

    assert one == Derived(handler).id(source, NOON, ordinal)
    assert UUID_7.fullmatch(one)
    assert one != Derived(handler).id(source, NOON, ordinal + 1)
    assert one != Derived(handler + "x").id(source, NOON, ordinal)
    assert one != Derived(handler).id(source + "x", NOON, ordinal)


def test_derived_ids_are_pinned_because_a_redelivery_may_come_after_an_upgrade() -> None:
    derived = Derived("orders/validate")

    assert derived.id("019a0000-0000-7000-8000-000000000000", NOON, 0) == (
        "019a0000-0000-7c4b-844d-d01c44cd7a7c"
    )
    assert derived.id("order-1", NOON, 3) == "019e5f01-9600-7bb2-88e5-1c34ed4af3ac"


@given(st.integers(0, 2**47), st.integers(0, 9))
def test_a_derived_id_has_the_time_of_the_event_that_caused_it(ms: int, ordinal: int) -> None:
    source = IdSource(JumpingClock(ms * 1000)).next()

    assert millisecond(Derived("h").id(source, NOON, ordinal)) == ms


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_without_a_time_in_the_id_it_is_that_of_the_event(ms: int) -> None:
    derived = Derived("h").id("order-1", format_time(ms * 1000), 0)

    assert millisecond(derived) == max(ms, 0)


@pytest.mark.parametrize(
    "source",
    ["zzzzzzzz-zzzz-7zzz-8zzz-zzzzzzzzzzzz", "550e8400-e29b-41d4-a716-446655440000", "", "\u00e9"],
)
def test_an_id_of_any_form_leads_to_a_proper_one(source: str) -> None:
    assert UUID_7.fullmatch(Derived("h").id(source, NOON, 0))


def test_a_slash_in_an_id_or_a_name_leads_to_no_collision() -> None:
    made = {
        Derived("g/h").id("1/0", NOON, 0),
        Derived("g/h1").id("/0", NOON, 0),
        Derived("g/h").id("1", NOON, 0),
        Derived("g/h1").id("", NOON, 0),
    }

    assert len(made) == 4


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("550e8400-e29b-41d4-a716-446655440000", True),
        ("550E8400-E29B-41D4-A716-446655440000", True),
        ("550e8400e29b41d4a716446655440000", False),
        ("550e8400-e29b-41d4-a716-446655440000\n", False),
        ("550e8400-e29b-41d4-a716-44665544000g", False),
        ("", False),
    ],
)
def test_only_the_hyphenated_form_is_a_uuid(text: str, valid: bool) -> None:
    assert valid_uuid(text) is valid
