"""A group of functions as a processor: what is called, what comes out, what a failure leaves."""

import msgspec
import pytest

from motet.core.clock import format_time
from motet.core.errors import CodecError, ConfigError, HandlerError
from motet.core.event import Event, Record
from motet.core.outcome import Append, Emit, Outcome
from motet.core.ports import Concurrency, Processor
from motet.handlers import Context, Draft, FunctionProcessor, Handlers, State, emit
from motet.testing.events import make_event
from tests.unit.handlers.world import (
    NOW_US,
    Kept,
    OrderCreated,
    StockChecked,
    declared,
    failed,
    one,
    order,
    run,
)


async def test_a_handler_gets_its_payload_and_its_event() -> None:
    seen: list[tuple[str, str]] = []

    def handle(created: OrderCreated, event: Event) -> None:
        seen.append((created.order_id, event.key))

    await run(declared(handle), order(1, key="a"), order(2, key="b"))

    assert seen == [("o1", "a"), ("o2", "b")]


async def test_a_handler_may_ask_for_record_and_context_in_any_order() -> None:
    seen: list[object] = []

    def handle(context: Context, record: Record, *, created: OrderCreated) -> None:
        seen.append((context.attempt, context.group, context.now_us, str(context.partition)))
        seen.append((record.offset, created.order_id))

    await run(declared(handle), order(1), attempt=3)

    assert seen == [(3, "shop", NOW_US, "orders/0"), (0, "o1")]


async def test_a_draft_becomes_an_event_with_cause_time_and_key_of_its_source() -> None:
    def handle(created: OrderCreated) -> Draft:
        return emit("stock", StockChecked(created.order_id))

    source = order(1, key="c7")
    (emitted,) = (await run(declared(handle), source)).emits

    assert emitted.topic == "stock"
    assert emitted.not_before_us == 0
    event = emitted.event
    assert (event.type, event.schema_version) == ("stock.checked", 2)
    assert (event.key, event.source) == ("c7", "/shop/handle")
    assert event.time == format_time(NOW_US)
    assert (event.correlation_id, event.causation_id) == (source.id, source.id)
    assert msgspec.json.decode(event.data) == {"order_id": "o1"}


async def test_a_conversation_keeps_its_correlation_id() -> None:
    def handle(created: OrderCreated) -> Draft:
        return emit("stock", StockChecked(created.order_id))

    source = msgspec.structs.replace(order(1), correlation_id="talk-1")
    (emitted,) = (await run(declared(handle), source)).emits

    assert emitted.event.correlation_id == "talk-1"


async def test_ids_are_the_same_at_every_try_and_different_per_ordinal_and_handler() -> None:
    app = Handlers("shop")

    @app.on("orders")
    def first(created: OrderCreated) -> list[Draft]:
        return [emit("a", StockChecked("x")), emit("a", StockChecked("y"))]

    @app.on("orders")
    def second(created: OrderCreated) -> Draft:
        return emit("a", StockChecked("z"))

    processor = one(app)
    once = await run(processor, order(1), order(2))
    again = await run(processor, order(1), attempt=2, now_us=NOW_US + 5_000_000)

    ids = [emitted.event.id for emitted in once.emits]
    assert len(set(ids)) == 6
    assert [emitted.event.id for emitted in again.emits] == ids[:3]


async def test_only_matching_types_and_topics_reach_a_handler() -> None:
    app = Handlers("shop")
    seen: list[str] = []

    @app.on("orders", "order.*")
    def orders(event: Event) -> None:
        seen.append(f"orders {event.type}")

    @app.on("stock", "order.created")
    def stock(event: Event) -> None:
        seen.append(f"stock {event.type}")

    @app.on("stock")
    def everything(event: Event) -> None:
        seen.append(f"everything {event.type}")

    processor = one(app)
    kinds = ["order.created", "order.paid", "parcel.sent"]
    await run(processor, *[make_event(n, type=kind) for n, kind in enumerate(kinds)])
    await run(processor, make_event(9, type="order.created"), topic="stock")

    assert processor.topics == {"orders", "stock"}
    assert seen == [
        "orders order.created",
        "orders order.paid",
        "stock order.created",
        "everything order.created",
    ]


async def test_the_type_is_that_of_the_payload_class_unless_given() -> None:
    seen: list[str] = []

    def handle(created: OrderCreated) -> None:
        seen.append(created.order_id)

    outcome = await run(declared(handle), make_event(1, type="parcel.sent", data=[]), order(2))

    assert seen == ["o2"]
    assert not outcome.failures


async def test_a_filter_on_the_payload_or_on_the_event() -> None:
    app = Handlers("shop")
    seen: list[tuple[str, str]] = []

    @app.on("orders", where=lambda created: created.total > 10)
    def large(created: OrderCreated) -> None:
        seen.append(("large", created.order_id))

    def is_vip(event: Event) -> bool:
        return event.key == "vip"

    @app.on("orders", where=is_vip)
    def vip(created: OrderCreated, event: Event) -> None:
        seen.append(("vip", created.order_id))

    await run(one(app), order(1, total=50), order(2, key="vip"), order(3))

    assert seen == [("large", "o1"), ("vip", "o2")]


@pytest.mark.parametrize("stateful", [False, True])
async def test_a_failed_record_leaves_nothing_and_the_others_go_on(stateful: bool) -> None:
    def plain(created: OrderCreated) -> list[object]:
        drafts: list[object] = [emit("stock", StockChecked(created.order_id))]
        if created.order_id == "o2":
            drafts += [Outcome(appends=(Append("s", ()),)), 3]
        return drafts

    def keeping(created: OrderCreated, state: State) -> list[object]:
        return plain(created)

    events = [order(1, key="a"), order(2, key="b"), order(3, key="c")]
    function = keeping if stateful else plain
    outcome = await run(declared(function, name="handle"), *events)

    assert [e.event.causation_id for e in outcome.emits] == [events[0].id, events[2].id]
    assert outcome.appends == ()
    ((id, why),) = failed(outcome)
    assert id == events[1].id
    assert "'handle' returned a int" in why


async def test_one_of_several_handlers_failing_fails_the_record() -> None:
    app = Handlers("shop")

    @app.on("orders")
    def first(created: OrderCreated, state: State) -> Draft:
        state.put(1)
        return emit("stock", StockChecked(created.order_id))

    @app.on("orders")
    def second(created: OrderCreated) -> None:
        raise ValueError("no")

    outcome = await run(one(app), order(1))

    assert (outcome.emits, outcome.puts) == ((), ())
    assert [why for _, why in failed(outcome)] == ["no"]


@pytest.mark.parametrize("stateful", [False, True])
async def test_when_parking_later_records_of_the_key_wait(stateful: bool) -> None:
    events = [order(1, key="a"), order(2, key="b"), order(3, key="a"), order(4, key="b")]
    outcome = await run(_failing("o1", stateful=stateful), *events)

    assert failed(outcome) == [(events[0].id, "no"), (events[2].id, "")]
    assert [e.event.causation_id for e in outcome.emits] == [events[1].id, events[3].id]


@pytest.mark.parametrize("stateful", [False, True])
async def test_when_skipping_later_records_of_the_key_go_on(stateful: bool) -> None:
    events = [order(1, key="a"), order(2, key="a")]
    processor = _failing("o1", stateful=stateful, on_failure="skip")
    outcome = await run(processor, *events)

    assert not processor.parks
    assert failed(outcome) == [(events[0].id, "no")]
    assert [e.event.causation_id for e in outcome.emits] == [events[1].id]


async def test_a_payload_that_does_not_decode_fails_its_record_only() -> None:
    def handle(created: OrderCreated) -> Draft:
        return emit("stock", StockChecked(created.order_id))

    broken = make_event(1, key="a", type="order.created", data={"order_id": 7})
    outcome = await run(declared(handle), broken, order(2, key="b"))

    (failure,) = outcome.failures
    assert isinstance(failure.error, CodecError)
    assert failure.error.where == "$.payload.order_id"
    assert len(outcome.emits) == 1


async def test_an_old_version_reaches_the_handler_lifted() -> None:
    app = Handlers("shop")
    seen: list[float] = []

    @app.upcast("price.set", 1)
    def in_euros(payload: dict[str, object]) -> dict[str, object]:
        return {"euros": float(str(payload["cents"])) / 100}

    @app.on("prices", "price.set")
    def handle(price: dict[str, float]) -> None:
        seen.append(price["euros"])

    event = make_event(1, type="price.set", data={"cents": 250})
    await run(one(app), event, topic="prices")

    assert seen == [2.5]


async def test_an_empty_batch_leads_to_nothing() -> None:
    def handle(created: OrderCreated, state: State) -> None: ...

    kept = Kept()
    assert await run(declared(handle), kept=kept) == Outcome()
    assert kept.reads == []


async def test_types_without_end_from_outside_are_forgotten_again() -> None:
    seen: list[str] = []

    def handle(event: Event) -> None:
        seen.append(event.type)

    processor = declared(handle)
    await run(processor, *[make_event(n, type=f"t{n}") for n in range(5000)])

    assert isinstance(processor, FunctionProcessor)
    assert len(seen) == 5000
    assert len(processor._plans["orders"]) <= 4096  # nothing else can be seen of it


def test_concurrency_follows_from_the_functions() -> None:
    def plain(event: Event) -> None: ...
    async def awaited(event: Event) -> None: ...
    async def awaited_batch(events: list[Event]) -> None: ...

    assert declared(plain).concurrency is Concurrency.BATCH
    assert declared(plain, blocking=True).concurrency is Concurrency.LANES
    assert declared(awaited).concurrency is Concurrency.LANES
    assert declared(awaited_batch, batch=True).concurrency is Concurrency.BATCH


def test_a_processor_needs_handlers_of_one_group() -> None:
    app = Handlers("shop")
    with pytest.raises(ConfigError, match="one group"):
        FunctionProcessor(app.handlers, app="shop", schemas=app.schemas)


async def test_an_emit_passes_unchanged() -> None:
    event = make_event(9, type="other.thing")

    def handle(created: OrderCreated) -> Emit:
        return Emit("elsewhere", event, 7)

    assert (await run(declared(handle), order(1))).emits == (Emit("elsewhere", event, 7),)


def _failing(order_id: str, *, stateful: bool, **options: object) -> Processor:
    def plain(created: OrderCreated) -> Draft:
        if created.order_id == order_id:
            raise ValueError("no")
        return emit("stock", StockChecked(created.order_id))

    def keeping(created: OrderCreated, state: State) -> Draft:
        state.put(created)
        return plain(created)

    return declared(keeping if stateful else plain, **options)


@pytest.mark.parametrize("stateful", [False, True])
async def test_a_record_that_fails_for_good_does_not_hold_up_its_key(*, stateful: bool) -> None:
    def plain(created: OrderCreated) -> Draft:
        if created.total:
            raise HandlerError("never", retryable=False)
        return emit("stock", StockChecked(created.order_id))

    def keeping(created: OrderCreated, state: State) -> Draft:
        return plain(created)

    broken = make_event(3, type="order.created", data=[])
    events = order(1), order(2, total=1), broken, order(4)
    outcome = await run(declared(keeping if stateful else plain), *events)

    assert [id for id, _ in failed(outcome)] == [events[1].id, broken.id]
    assert [e.event.causation_id for e in outcome.emits] == [events[0].id, events[3].id]


@pytest.mark.parametrize("stateful", [False, True])
async def test_a_gap_in_upcasters_behind_a_glob_fails_the_events_of_that_type_only(
    *, stateful: bool
) -> None:
    app = Handlers("shop")
    app.upcast("o.old", 1)(lambda payload: payload)
    app.upcast("o.old", 3)(lambda payload: payload)
    seen: list[object] = []

    def plain(payload: dict[str, object]) -> None:
        seen.append(payload)

    def keeping(payload: dict[str, object], state: State) -> None:
        seen.append(payload)

    app.on("orders", "o.*")(keeping if stateful else plain)
    events = [make_event(1, type="o.old", data={}), make_event(2, type="o.new", data={})]
    outcome = await run(one(app), *events)

    assert len(seen) == 1
    assert isinstance(outcome.failures[0].error, ConfigError)
    assert [id for id, _ in failed(outcome)] == [events[0].id]
