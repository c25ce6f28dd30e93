"""The pipeline's services, one after the other, on memory backends: given, when, then."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from examples.orders import pipeline
from examples.orders.flow import PaymentRequested
from motet import Backends
from tests.unit.examples.shop import (
    OPENED_US,
    Shop,
    created,
    doubtful,
    event,
    item,
    later,
    open_shop,
    order,
    order_whose_bank,
    stolen,
)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_shop() as opened:
        await opened.stock({"ALB-001": 100, "ALB-002": 1, "BOX-001": 10})
        yield opened


@pytest.fixture
def good() -> str:
    return order_whose_bank(["TAKEN"])


async def test_an_honest_order_is_paid_and_handed_to_fulfilment(shop: Shop, good: str) -> None:
    await shop.work(order(good, items=(item("ALB-001", 2), item("ALB-002"))))

    assert await shop.outcomes() == {good: "PROCESSED"}
    assert await shop.data(pipeline.TASKS) == [
        {
            "taskId": f"{good}/{number}",
            "orderId": good,
            "sku": sku,
            "quantity": quantity,
            "strategy": "STANDARD",
            "priority": "NORMAL",
        }
        for number, sku, quantity in [(1, "ALB-001", 2), (2, "ALB-002", 1)]
    ]


@pytest.mark.parametrize(
    ("changes", "strategy", "priority"),
    [
        ({"is_express": True}, "EXPRESS", "NORMAL"),
        ({"is_express": True, "is_international": True}, "INTERNATIONAL", "NORMAL"),
        ({"items": (item("ALB-001", 1, "1000.01"),)}, "STANDARD", "HIGH"),
        ({"items": (item("ALB-001", 1, "1000.00"),)}, "STANDARD", "NORMAL"),
    ],
)
async def test_fulfilment_has_a_strategy_and_a_priority(
    shop: Shop, good: str, changes: dict[str, object], strategy: str, priority: str
) -> None:
    await shop.work(order("long-ago", **later(-200)), order(good, **changes))

    (task,) = [task for task in await shop.data(pipeline.TASKS) if task["orderId"] == good]
    assert (task["strategy"], task["priority"]) == (strategy, priority)


async def test_the_order_reaches_fulfilment_as_it_came(shop: Shop, good: str) -> None:
    placed = created(order(good))

    await shop.work(placed)

    (processed,) = await shop.data(pipeline.PROCESSED)
    assert processed["order"] == msgspec.json.decode(placed.data)
    (event,) = await shop.events(pipeline.PROCESSED)
    assert event.correlation_id == placed.id


async def test_an_invalid_order_goes_to_failed_orders_with_the_reasons(shop: Shop) -> None:
    await shop.work(order("bad", items=(), customer_id=None))

    reason = "Missing customer ID, Empty order"
    assert await shop.data(pipeline.FAILED) == [{"orderId": "bad", "reason": reason}]
    assert await shop.outcomes() == {"bad": "INVALID"}


async def test_a_payload_of_the_wrong_type_is_a_dead_letter_at_once(shop: Shop) -> None:
    await shop.work(event("order.created", {"id": "bad", "items": "see attachment"}, "e-1", "c"))

    (stored,) = await shop.backends.store.dead_letters.list()
    assert (stored.letter.group, stored.letter.error.code) == ("validation", "CodecError")
    assert stored.letter.attempts == 1
    assert b"see attachment" in stored.letter.value


async def test_an_event_that_comes_twice_is_worked_once(shop: Shop, good: str) -> None:
    await shop.work(order(good))
    await shop.work(order(good))

    assert await shop.outcomes() == {good: "PROCESSED"}
    assert await shop.units("ALB-001") == (99, None)


async def test_the_first_order_gets_the_last_unit(shop: Shop, good: str) -> None:
    wanted = (item("ALB-002"),)
    await shop.work(order(good, items=wanted), order("too-late", items=wanted))

    assert await shop.outcomes() == {good: "PROCESSED", "too-late": "OUT_OF_STOCK"}
    ended = {each["orderId"]: each for each in await shop.data(pipeline.OUTCOMES)}
    assert ended["too-late"]["reason"] == "EWR1 has 0 of ALB-002, 1 wanted"


async def test_an_order_gets_all_it_wants_or_nothing(shop: Shop) -> None:
    await shop.work(order("greedy", items=(item("ALB-001", 5), item("ALB-002", 2))))

    assert await shop.outcomes() == {"greedy": "OUT_OF_STOCK"}
    assert await shop.units("ALB-001") == (100, None)
    assert await shop.units("ALB-002") == (1, None)


async def test_two_lines_of_one_title_are_one_wish(shop: Shop) -> None:
    await shop.work(order("greedy", items=(item("ALB-002"), item("ALB-002"))))

    assert await shop.outcomes() == {"greedy": "OUT_OF_STOCK"}


async def test_a_warehouse_sells_nothing_of_another(shop: Shop) -> None:
    await shop.work(order("elsewhere", warehouse="ATL1"))

    assert await shop.outcomes() == {"elsewhere": "OUT_OF_STOCK"}


async def test_a_delivery_adds_to_what_is_there(shop: Shop) -> None:
    await shop.stock({"ALB-002": 4})
    await shop.settle()

    assert await shop.units("ALB-002") == (5, None)


async def test_a_blocked_order_gives_back_its_units_but_not_to_the_next_order(shop: Shop) -> None:
    await shop.stock({"BOX-002": 4})
    wanted = (item("BOX-002", 4, "50.00", "box-set"),)

    await shop.work(stolen("thief", items=wanted))
    await shop.work(order("next", items=wanted))

    assert await shop.outcomes() == {"thief": "BLOCKED", "next": "OUT_OF_STOCK"}
    assert await shop.units("BOX-002") == (0, 4)


async def test_a_doubtful_order_waits_for_a_person_with_its_units_set_aside(shop: Shop) -> None:
    await shop.work(doubtful("odd"))

    assert await shop.outcomes() == {"odd": "REVIEW"}
    (asked,) = await shop.data(pipeline.REVIEWS)
    assert asked["orderId"] == "odd"
    assert 0.5 < float(str(asked["riskScore"])) <= 0.8
    assert await shop.units("ALB-001") == (96, None)


async def test_every_score_is_logged_with_its_features(shop: Shop, good: str) -> None:
    await shop.work(order(good), stolen("thief"))

    logged = {each["orderId"]: each for each in await shop.data(pipeline.PREDICTIONS)}
    assert logged[good]["recommendation"] == "APPROVE"
    assert logged["thief"]["recommendation"] == "BLOCK"
    features = logged["thief"]["features"]
    assert isinstance(features, dict)
    assert features["shippingBillingMatch"] is False
    assert features["itemCategories"] == ["box-set"]


async def test_a_customers_velocity_comes_from_state(shop: Shop) -> None:
    hours = [order(f"order-{n}", **later(n / 48)) for n in range(4)]
    await shop.work(*hours[:2])
    await shop.work(*hours[2:])

    logged = {each["orderId"]: each["features"] for each in await shop.data(pipeline.PREDICTIONS)}
    counts = [logged[f"order-{n}"] for n in range(4)]
    assert [dict(each)["ordersLastDay"] for each in counts] == [0, 1, 2, 3]  # type: ignore[call-overload]
    assert [dict(each)["ordersLastHour"] for each in counts] == [0, 1, 1, 1]  # type: ignore[call-overload]


async def test_a_declined_payment_gives_back_the_units(shop: Shop) -> None:
    poor = order_whose_bank(["DECLINED"])
    await shop.work(order(poor, items=(item("ALB-001", 3),)))

    assert await shop.outcomes() == {poor: "PAYMENT_DECLINED"}
    assert await shop.units("ALB-001") == (97, 3)
    assert await shop.data(pipeline.PROCESSED) == []


async def test_a_bank_that_does_not_answer_is_asked_again(shop: Shop) -> None:
    slow = order_whose_bank(["BankTimeout", "TAKEN"])
    await shop.work(order(slow))

    assert await shop.outcomes() == {slow: "PROCESSED"}
    assert len(await shop.data(pipeline.PROCESSED)) == 1


async def test_a_bank_that_never_answers_makes_a_dead_letter_and_keeps_the_units(
    shop: Shop,
) -> None:
    cut_off = order_whose_bank(["BankDown"])
    await shop.work(order(cut_off))

    (stored,) = await shop.backends.store.dead_letters.list()
    assert (stored.letter.group, stored.letter.error.code) == ("payment", "BankDown")
    assert stored.letter.attempts == pipeline.BANK_RETRIES.tries
    assert await shop.outcomes() == {}
    assert await shop.units("ALB-001") == (99, None)


async def test_another_customers_payment_does_not_wait_for_a_bank(shop: Shop, good: str) -> None:
    cut_off = order_whose_bank(["BankDown"])
    await shop.work(order(cut_off), order(good, session_id="cust-2", customer_id="cust-2"))

    assert await shop.outcomes() == {good: "PROCESSED"}


async def test_a_payment_asked_for_twice_is_taken_once(shop: Shop, good: str) -> None:
    asked = PaymentRequested(
        order_id=good,
        warehouse="EWR1",
        units={"ALB-001": 1},
        amount_cents=1200,
        currency="USD",
        accepted_us=OPENED_US,
        order=created(order(good)).data,
    )
    await shop.backends.transport.publish(
        pipeline.PAYMENTS,
        [event("payment.requested", asked, f"asked-{n}", "cust-1") for n in range(2)],
    )
    await shop.settle()

    assert len(await shop.data(pipeline.PROCESSED)) == 1
    assert await shop.state("payment", good) == {"answer": "TAKEN", "amountCents": 1200}


async def test_a_processed_order_says_how_long_it_took_since_it_was_published(
    shop: Shop, good: str
) -> None:
    published_us = shop.clock.now_us() - 5_000_000
    await shop.work(created(order(good), published_us=published_us))

    (ended,) = await shop.data(pipeline.OUTCOMES)
    assert 5_000_000 <= int(str(ended["tookUs"])) <= shop.clock.now_us() - published_us


async def test_an_order_that_does_not_say_when_it_was_published_counts_from_validation(
    shop: Shop, good: str
) -> None:
    began_us = shop.clock.now_us()
    await shop.work(order(good))

    (ended,) = await shop.data(pipeline.OUTCOMES)
    assert 0 <= int(str(ended["tookUs"])) <= shop.clock.now_us() - began_us


async def test_the_total_counts_every_outcome(shop: Shop, good: str) -> None:
    await shop.work(order(good), order("bad", items=()), stolen("thief"))
    await shop.work(doubtful("odd"))

    tally = await shop.state("outcomes", pipeline.TALLY)
    assert isinstance(tally, dict)
    assert tally["outcomes"] == {"PROCESSED": 1, "INVALID": 1, "BLOCKED": 1, "REVIEW": 1}


def test_every_topic_a_service_reads_has_its_partitions_declared() -> None:
    read = {topic for each in pipeline.app.compile() for topic in each.processor.topics}
    assert read <= pipeline.PARTITIONS.keys()


async def test_services_write_to_declared_topics_only(shop: Shop, good: str) -> None:
    await shop.work(order(good), stolen("thief"), doubtful("odd"), order("bad", items=()))

    assert {info.name for info in await shop.backends.transport.topics()} == set(
        pipeline.PARTITIONS
    )
    assert isinstance(shop.backends, Backends)
