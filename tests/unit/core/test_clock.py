import asyncio

import pytest
from hypothesis import given

from motet.core.clock import SystemClock, format_time, parse_time
from motet.core.errors import CodecError
from tests.unit.core.strategies import instants


@given(instants)
def test_an_instant_survives_being_written_and_read(time_us: int) -> None:
    assert parse_time(format_time(time_us)) == time_us


@given(instants, instants)
def test_written_instants_sort_as_the_instants_do(one: int, other: int) -> None:
    assert (format_time(one) < format_time(other)) == (one < other)


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T00:00:00.1Z", 100_000),
        ("1970-01-01t00:00:01z", 1_000_000),
        ("1970-01-01 00:00:01Z", 1_000_000),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T18:30:00-05:30", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("2026-05-25T10:15:30.123456789Z", 1_779_704_130_123_456),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
    ],
)
def test_every_form_of_rfc_3339_is_read(text: str, time_us: int) -> None:
    assert parse_time(text) == time_us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-05-25",
        "2026-05-25T10:15:30",
        "2026-05-25T10:15Z",
        "20260525T101530Z",
        "2026-W21-1T10:15:30Z",
        "2026-05-25T10:15:30,5Z",
        "2026-05-25T10:15:30.Z",
        "2026-05-25T10:15:30+02",
        "2026-05-25T10:15:30+01:00:30",
        "2026-02-30T10:15:30Z",
        "2026-05-25T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "2026-05-25T10:15:30Z\n",
        "\uff12\uff10\uff12\uff16-05-25T10:15:30Z",
        "2026-05-25\x0010:15:30Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "\ud800",
        "1" * 100_000,
    ],
)
def test_anything_else_is_refused_with_the_field_named(text: str) -> None:
    with pytest.raises(CodecError) as caught:
        parse_time(text)

    assert caught.value.where == "$.timestamp"
    assert len(str(caught.value)) < 200


async def test_the_system_clock_moves_on_while_it_sleeps() -> None:
    clock = SystemClock()
    wall_us, steady_s = clock.now_us(), clock.monotonic_s()

    await clock.sleep(0.001)

    assert clock.monotonic_s() > steady_s
    assert clock.now_us() > wall_us - 1_000_000
    assert 0.0 <= clock.random() < 1.0


async def test_sleep_can_be_cancelled() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await SystemClock().sleep(3600.0)
