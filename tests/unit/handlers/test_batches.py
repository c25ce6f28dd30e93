"""Batch handlers: lists in, one result per event out, one by one when the batch fails."""

import msgspec

from motet.core.event import Event
from motet.handlers import Context, Draft, Handlers, State, emit
from motet.testing.events import make_event
from tests.unit.handlers.world import (
    Kept,
    OrderCreated,
    StockChecked,
    declared,
    failed,
    one,
    order,
    run,
)


async def test_a_batch_handler_gets_the_whole_batch_and_answers_per_event() -> None:
    seen: list[tuple[list[str], list[str], int]] = []

    def handle(
        orders: list[OrderCreated], events: list[Event], context: Context
    ) -> list[Draft | None]:
        seen.append(([o.order_id for o in orders], [e.key for e in events], context.attempt))
        return [None if o.total else emit("a", StockChecked(o.order_id)) for o in orders]

    events = [order(1, key="a"), order(2, key="b", total=5), order(3, key="a")]
    outcome = await run(declared(handle, batch=True), *events, attempt=2)

    assert seen == [(["o1", "o2", "o3"], ["a", "b", "a"], 2)]
    assert [e.event.causation_id for e in outcome.emits] == [events[0].id, events[2].id]


async def test_ids_do_not_depend_on_where_batches_are_cut() -> None:
    def handle(orders: list[OrderCreated]) -> list[Draft]:
        return [emit("a", StockChecked(o.order_id)) for o in orders]

    processor = declared(handle, batch=True)
    events = [order(n) for n in range(5)]
    whole = await run(processor, *events)
    parts = [await run(processor, *events[:2]), await run(processor, *events[2:])]

    assert [e.event.id for e in whole.emits] == [e.event.id for p in parts for e in p.emits]


async def test_when_a_batch_fails_its_records_are_tried_one_by_one() -> None:
    calls: list[int] = []

    def handle(orders: list[OrderCreated], state: State) -> list[Draft]:
        calls.append(len(orders))
        for o in orders:
            state.put(o.order_id, o.order_id)
        if any(o.total < 0 for o in orders):
            raise ValueError("no")
        return [emit("a", StockChecked(o.order_id)) for o in orders]

    kept = Kept()
    processor = declared(handle, batch=True, state=lambda o: o.order_id)
    events = [order(1), order(2, key="b", total=-1), order(3), order(4, key="b")]
    outcome = await run(processor, *events, kept=kept)

    assert calls == [4, 1, 1, 1]
    assert failed(outcome) == [(events[1].id, "no"), (events[3].id, "")]
    assert [e.event.causation_id for e in outcome.emits] == [events[0].id, events[2].id]
    assert set(kept.values) == {"o1", "o3"}


async def test_a_payload_that_does_not_decode_is_left_out_and_holds_nothing_up() -> None:
    seen: list[str] = []

    def handle(orders: list[OrderCreated]) -> None:
        seen.extend(o.order_id for o in orders)

    broken = make_event(2, key="b", type="order.created", data=[])
    events = [order(1), broken, order(3), order(4, key="b")]
    outcome = await run(declared(handle, batch=True), *events)

    assert seen == ["o1", "o3", "o4"]
    assert [id for id, _ in failed(outcome)] == [broken.id]


async def test_results_that_do_not_match_the_events_fail_all_of_them() -> None:
    calls: list[int] = []

    def handle(orders: list[OrderCreated]) -> list[Draft]:
        calls.append(len(orders))
        return [emit("a", type="x")]

    outcome = await run(declared(handle, batch=True), order(1, key="a"), order(2, key="b"))

    assert calls == [2]
    assert outcome.emits == ()
    assert len(outcome.failures) == 2
    assert "returned 1 results for 2 events" in failed(outcome)[0][1]


async def test_a_single_draft_is_no_list_of_results() -> None:
    def handle(orders: list[OrderCreated]) -> Draft:
        return emit("a", type="x")

    assert (
        "returned Draft for 1 events"
        in failed(await run(declared(handle, batch=True), order(1)))[0][1]
    )


async def test_a_filter_applies_to_each_event_of_a_batch() -> None:
    seen: list[list[float]] = []

    def handle(orders: list[OrderCreated]) -> None:
        seen.append([o.total for o in orders])

    processor = declared(handle, batch=True, where=lambda o: o.total > 1)
    await run(processor, order(1, total=5), order(2), order(3, total=7))
    await run(processor, order(4))

    assert seen == [[5, 7]]


async def test_state_of_a_batch_has_the_keys_of_all_its_events() -> None:
    def handle(orders: list[OrderCreated], events: list[Event], state: State) -> None:
        for event in events:
            state.put((state.get(int, event.key) or 0) + 1, event.key)

    kept = Kept()
    events = [order(1, key="a"), order(2, key="b"), order(3, key="a")]
    await run(declared(handle, batch=True), *events, kept=kept)

    assert kept.json() == {"a": 2, "b": 1}
    assert kept.reads == [{"a", "b"}]


async def test_types_in_turn_still_make_one_batch_each_unless_a_key_needs_its_order() -> None:
    app = Handlers("shop")
    seen: list[tuple[str, list[str]]] = []

    @app.on("orders", "a", batch=True)
    def take_a(events: list[Event]) -> None:
        seen.append(("a", [e.key for e in events]))

    @app.on("orders", "b", batch=True)
    async def take_b(events: list[Event]) -> None:
        seen.append(("b", [e.key for e in events]))

    @app.on("orders", "c")
    def take_c(event: Event) -> None:
        seen.append(("c", [event.key]))

    processor = one(app)
    turns = [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4")]
    await run(processor, *[make_event(n, type=t, key=k) for n, (t, k) in enumerate(turns)])
    assert seen == [("a", ["1", "3"]), ("b", ["2", "4"])]

    seen.clear()
    turns = [("a", "1"), ("b", "2"), ("c", "9"), ("b", "1"), ("c", "1"), ("a", "2")]
    await run(processor, *[make_event(n, type=t, key=k) for n, (t, k) in enumerate(turns)])
    assert seen == [
        ("c", ["9"]),
        ("a", ["1"]),
        ("b", ["2"]),
        ("b", ["1"]),
        ("c", ["1"]),
        ("a", ["2"]),
    ]


async def test_batch_and_single_handlers_of_one_event_succeed_or_fail_together() -> None:
    app = Handlers("shop")

    @app.on("orders")
    def each(created: OrderCreated) -> Draft:
        return emit("each", StockChecked(created.order_id))

    @app.on("orders", batch=True)
    def together(orders: list[OrderCreated]) -> list[Draft]:
        if any(o.total < 0 for o in orders):
            raise ValueError("no")
        return [emit("together", StockChecked(o.order_id)) for o in orders]

    outcome = await run(one(app), order(1, key="a"), order(2, key="b", total=-1))

    assert [e.topic for e in outcome.emits] == ["each", "together"]
    assert [why for _, why in failed(outcome)] == ["no"]


async def test_single_tries_do_not_see_what_the_batch_did_to_its_payloads() -> None:
    def handle(orders: list[dict[str, int]]) -> list[Draft]:
        for each in orders:
            each["n"] += 1
        if any(each["bad"] for each in orders):
            raise ValueError("no")
        return [emit("a", each, type="x") for each in orders]

    events = [make_event(n, key=f"k{n}", data={"n": 0, "bad": int(n == 2)}) for n in range(4)]
    outcome = await run(declared(handle, batch=True), *events)

    assert failed(outcome) == [(events[2].id, "no")]
    assert [msgspec.json.decode(each.event.data)["n"] for each in outcome.emits] == [1, 1, 1]


async def test_an_upcaster_that_fails_at_the_second_time_fails_its_record() -> None:
    app = Handlers("shop")
    calls: list[int] = []

    @app.upcast("old", 1)
    def lift(payload: dict[str, object]) -> dict[str, object]:
        calls.append(1)
        if len(calls) == 3:
            raise ValueError("not again")
        return payload

    @app.on("orders", "old", batch=True)
    def handle(payloads: list[dict[str, object]]) -> None:
        if len(payloads) > 1:
            raise ValueError("no")

    events = [make_event(n, key=f"k{n}", type="old", data={}) for n in range(2)]
    ((id, why),) = failed(await run(one(app), *events))

    assert id == events[0].id
    assert "not again" in why
