from __future__ import annotations

import io

import pytest

from examples.orders.feed import Fed
from examples.orders.purchases import Source
from examples.orders.report import (
    SHOWN,
    Latency,
    Reason,
    Report,
    Standing,
    reasons,
    standing,
    work,
)
from examples.orders.show import Bars, lines
from examples.orders.tally import Tally
from motet import connect
from motet.core.clock import SystemClock
from motet.core.outcome import DeadLetter, ErrorInfo

BUSY = work(orders=200, events=1600, seconds=2.0)
SOON = Latency(210.4, 490.0)
IDLE = work(orders=0, events=0, seconds=0.1)


def report(run: object = BUSY, latency: Latency = SOON) -> Report:
    return Report(
        outcomes=dict.fromkeys(SHOWN, 25),
        orders=200,
        lines=203,
        duplicates=3,
        source="generated",
        source_detail="asked for",
        latency=latency,
        run=run,  # type: ignore[arg-type]
        dead_letters=[Reason("", "CodecError", "not JSON", 25), Reason("payment", "B", "down", 25)],
        events=1600,
        url="sqlite:///demo.db",
        api="http://127.0.0.1:8080",
    )


def text(shown: Report, *, serving: bool = True) -> str:
    return "\n".join(lines(shown, serving=serving))


def test_the_table_has_each_outcome_with_its_share() -> None:
    for outcome in SHOWN:
        assert any(
            line.split() == [outcome, "25", "12.5%"] for line in lines(report(), serving=True)
        )


def test_the_text_says_how_fast_it_was_and_what_was_used() -> None:
    shown = text(report())

    assert "200 orders in 2.0 s: 100 orders/s, 800 events/s" in shown
    assert "p50 210 ms, p99 490 ms" in shown
    assert "orders: generated (asked for)" in shown


def test_a_run_that_found_nothing_to_do_says_so() -> None:
    assert "nothing was left to do" in text(report(IDLE))


def test_no_processed_order_means_no_latency() -> None:
    assert "no order was processed" in text(report(latency=Latency(None, None)))


def test_an_api_that_is_gone_is_not_named() -> None:
    assert "http://" in text(report())
    assert "http://" not in text(report(), serving=False)


@pytest.mark.parametrize(
    ("group", "message", "reason"),
    [
        ("", "not UTF-8: ff (invalid start byte) (at byte 52)", "not UTF-8"),
        ("", "NaN is not JSON (at $.payload.total)", "NaN is not JSON"),
        (
            "validation",
            "payload of 'order.created' version 1: expected `array` at $.payload.items[7]",
            "expected `array` at $.payload.items[]",
        ),
    ],
)
async def test_dead_letters_that_failed_alike_are_one_line(
    group: str, message: str, reason: str
) -> None:
    async with connect("memory://") as backends:
        await backends.store.dead_letters.add([letter(group, message)] * 2)

        assert await reasons(backends.store) == [Reason(group, "CodecError", reason, 2)]


async def test_dead_letters_are_malformed_or_dead_by_their_code() -> None:
    async with connect("memory://") as backends:
        await backends.store.dead_letters.add(
            [
                letter("", "x"),
                letter("payment", "y", "BankDown"),
                letter("payment", "z", "BankDown"),
            ]
        )
        found = await standing(backends.store)

    assert (found.malformed, found.dead, found.ended) == (1, 2, 3)


def test_where_there_is_no_terminal_progress_is_a_line_at_the_beginning() -> None:
    stream = io.StringIO()
    bars = Bars(stream, SystemClock())
    bars.begin(Source("generated", "asked for"), 20, "http://127.0.0.1:8080")
    bars.advance(Fed("generated", 20), Standing(Tally(), 0, 0))
    bars.end()

    assert stream.getvalue() == (
        "motet: 20 orders, generated (asked for); API: http://127.0.0.1:8080\n"
    )


def letter(group: str, message: str, code: str = "CodecError") -> DeadLetter:
    return DeadLetter(
        topic="order.created",
        partition=-1,
        offset=-1,
        group=group,
        key="",
        event_type="",
        value=b"x",
        error=ErrorInfo(code, message),
    )
