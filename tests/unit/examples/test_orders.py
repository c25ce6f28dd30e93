from __future__ import annotations

import json
from collections import Counter
from itertools import islice

import msgspec
import pytest

from examples.orders.events import Envelope
from examples.orders.imperfections import fate_of
from examples.orders.orders import Line, envelope_of, order_lines
from examples.orders.purchases import Purchase
from examples.orders.rules import created_us
from examples.orders.validation import problems


@pytest.fixture(scope="module")
def lines(generated: list[Purchase]) -> list[Line]:
    return list(order_lines(generated, limit=20_000))


def decode(line: Line) -> Envelope:
    return msgspec.json.decode(line.value, type=Envelope)


def test_the_first_20_000_generated_orders_hold_known_counts_of_each_kind(
    lines: list[Line],
) -> None:
    assert Counter(line.kind for line in lines) == {
        "ok": 19_474,
        "late": 253,
        "duplicate": 201,
        "invalid": 159,
        "malformed": 114,
    }


@pytest.mark.slow
def test_cdnow_holds_known_counts_of_each_kind(cdnow_worked) -> None:
    assert cdnow_worked.lines == {
        "ok": 67_846,
        "late": 856,
        "duplicate": 708,
        "invalid": 551,
        "malformed": 406,
    }


def test_the_stream_is_the_same_every_time(generated: list[Purchase], lines: list[Line]) -> None:
    assert list(order_lines(generated, limit=20_000)) == lines


def test_every_purchase_gives_one_line_and_a_duplicated_one_two(
    generated: list[Purchase], lines: list[Line]
) -> None:
    copies = sum(fate_of(purchase).kind == "duplicate" for purchase in generated[:20_000])
    assert copies == sum(line.kind == "duplicate" for line in lines)
    assert len(lines) == 20_000 + copies


def test_a_line_is_one_line(lines: list[Line]) -> None:
    assert not any(b"\n" in line.value or b"\r" in line.value for line in lines)


def test_a_sound_line_is_the_articles_envelope_with_money_in_two_places(
    generated: list[Purchase],
) -> None:
    sound = next(purchase for purchase in generated if fate_of(purchase).kind == "ok")
    envelope = envelope_of(sound)
    line = next(order_lines([sound]))
    event = json.loads(line.value, parse_float=str)
    assert event["eventId"] == envelope.event_id
    assert event["eventType"] == "order.created"
    assert event["version"] == 1
    assert event["timestamp"] == event["payload"]["createdAt"]
    assert event["timestamp"].endswith("Z")
    assert event["correlationId"] == event["payload"]["id"]
    assert event["payload"]["sessionId"] == event["payload"]["customerId"] == line.key
    money = [event["payload"]["total"], *(item["price"] for item in event["payload"]["items"])]
    assert all(len(amount.partition(".")[2]) == 2 for amount in money)


def test_sound_lines_decode_and_pass_validation(lines: list[Line]) -> None:
    for line in lines:
        if line.kind in ("ok", "late", "duplicate"):
            event = decode(line)
            assert problems(event.payload) == []
            assert event.payload.session_id == line.key


def test_malformed_lines_do_not_decode_whatever_their_defect(lines: list[Line]) -> None:
    malformed = [line for line in lines if line.kind == "malformed"]
    assert {line.defect for line in malformed} == {
        "not-json",
        "truncated",
        "bad-utf8",
        "nan",
        "price-text",
        "items-text",
    }
    for line in malformed:
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
            decode(line)


def test_invalid_lines_decode_and_fail_validation_for_their_defect(lines: list[Line]) -> None:
    total = "Total is not the sum of the items"
    reasons = {
        "no-customer": ["Missing customer ID"],
        "no-items": ["Empty order"],
        "zero-quantity": ["Quantity below one", total],
        "wrong-total": [total],
    }
    invalid = [line for line in lines if line.kind == "invalid"]
    assert {line.defect for line in invalid} == set(reasons)
    for line in invalid:
        found = problems(decode(line).payload)
        assert set(found) <= set(reasons[str(line.defect)])
        assert found[0] == reasons[str(line.defect)][0]


def test_a_duplicate_repeats_the_bytes_of_an_earlier_line(lines: list[Line]) -> None:
    published: set[bytes] = set()
    for line in lines:
        assert (line.value in published) == (line.kind == "duplicate")
        published.add(line.value)


def test_only_late_lines_and_copies_are_out_of_the_order_of_time(lines: list[Line]) -> None:
    newest_us, behind_us = 0, []
    for line in lines:
        if line.kind in ("malformed", "invalid"):
            continue
        time_us = decode(line).payload.created_us
        if line.kind == "late":
            behind_us.append(newest_us - time_us)
        elif line.kind == "ok":
            assert time_us >= newest_us
            newest_us = time_us
    hour_us = 3_600_000_000
    overtaken = [late_us for late_us in behind_us if late_us > 1.9 * hour_us]
    assert len(overtaken) > 0.99 * len(behind_us)
    assert max(behind_us) < 73 * hour_us


def test_delays_lie_within_their_documented_limits(generated: list[Purchase]) -> None:
    fates = [fate_of(purchase) for purchase in generated]
    for kind, (low_s, high_s) in {"late": (7_200, 259_200), "duplicate": (10, 86_400)}.items():
        delays_s = [fate.delay_us / 1_000_000 for fate in fates if fate.kind == kind]
        assert low_s <= min(delays_s) < low_s + high_s / 100
        assert high_s * 0.99 < max(delays_s) <= high_s


def test_the_stream_reads_no_more_than_a_day_ahead(generated: list[Purchase]) -> None:
    read: list[Purchase] = []

    def watched():
        for purchase in generated:
            read.append(purchase)
            yield purchase

    last = list(islice(order_lines(watched()), 5000))[-1]
    days = {purchase.day for purchase in read}
    assert (max(days) - decode(last).timestamp.date()).days <= 1


def test_a_limit_takes_the_first_purchases(generated: list[Purchase], lines: list[Line]) -> None:
    few = list(order_lines(generated, limit=300))
    published = {line.value for line in lines}
    assert len(few) >= 300
    assert sum(line.value not in published for line in few) == 0
    assert list(order_lines(generated, limit=0)) == []


def test_purchases_that_go_back_by_a_day_are_refused(generated: list[Purchase]) -> None:
    with pytest.raises(ValueError, match="sort them by day"):
        list(order_lines([generated[-1], generated[0]]))


def test_orders_of_a_day_are_sorted_by_the_time_they_were_placed(generated: list[Purchase]) -> None:
    times = [created_us(purchase) for purchase in generated[:200]]
    sound = [line for line in order_lines(generated[:200]) if line.kind == "ok"]
    ok = [decode(line).payload.created_us for line in sound]
    assert times != sorted(times)
    assert ok == sorted(ok)
