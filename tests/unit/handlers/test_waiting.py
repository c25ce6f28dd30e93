"""Async and blocking handlers: awaited, in threads, limited in time, never swallowing a cancel."""

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from motet.core.errors import HandlerError
from motet.core.event import Batch, Event, Partition
from motet.handlers import Draft, Handlers, State, emit
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
    records,
    run,
)

language = contextvars.ContextVar("language", default="none")


async def test_an_async_handler_is_awaited_with_state_and_emits() -> None:
    async def handle(created: OrderCreated, state: State) -> Draft:
        state.put(created.order_id)
        return emit("stock", StockChecked(created.order_id))

    kept = Kept()
    outcome = await run(declared(handle), order(1, key="a"), order(2, key="b"), kept=kept)

    assert len(outcome.emits) == 2
    assert kept.json() == {"a": "o1", "b": "o2"}


async def test_an_async_handler_that_fails_leaves_nothing() -> None:
    async def handle(created: OrderCreated, state: State) -> None:
        state.put(created.order_id)
        raise ValueError("no")

    outcome = await run(declared(handle), order(1), order(2))

    assert outcome.puts == ()
    assert [why for _, why in failed(outcome)] == ["no", ""]


async def test_a_blocking_handler_runs_in_a_thread_with_the_callers_context() -> None:
    seen: list[tuple[bool, str]] = []

    def handle(created: OrderCreated) -> Iterator[Draft]:
        here = threading.current_thread() is threading.main_thread()
        seen.append((here, language.get()))
        yield emit("stock", StockChecked(created.order_id))

    token = language.set("en")
    try:
        outcome = await run(declared(handle, blocking=True), order(1))
    finally:
        language.reset(token)

    assert seen == [(False, "en")]
    assert len(outcome.emits) == 1


async def test_blocking_handlers_use_the_executor_handed_in() -> None:
    app = Handlers("shop")
    names: list[str] = []

    @app.on("orders", blocking=True)
    def handle(created: OrderCreated) -> None:
        names.append(threading.current_thread().name)

    with ThreadPoolExecutor(1, thread_name_prefix="ours") as executor:
        (compiled,) = app.compile(executor=executor)
        await run(compiled.processor, order(1))

    assert names[0].startswith("ours")


async def test_a_handler_that_takes_too_long_fails_with_a_timeout() -> None:
    async def handle(created: OrderCreated) -> None:
        await asyncio.Event().wait()

    outcome = await run(declared(handle, timeout_s=0.001), order(1))

    assert failed(outcome) == [(order(1).id, "handler 'handle' took longer than 0.001 s")]
    assert isinstance(outcome.failures[0].error, TimeoutError)


async def test_a_timeout_of_the_handlers_own_is_passed_on_as_it_is() -> None:
    async def handle(created: OrderCreated) -> None:
        raise TimeoutError("the bank did not answer")

    outcome = await run(declared(handle, timeout_s=30.0), order(1))

    assert [why for _, why in failed(outcome)] == ["the bank did not answer"]


async def test_what_a_thread_puts_after_its_timeout_is_dropped() -> None:
    app = Handlers("shop")
    go_on, put = threading.Event(), threading.Event()

    @app.on("orders", "slow", blocking=True, timeout_s=0.01, on_failure="skip")
    def slow(event: Event, state: State) -> None:
        go_on.wait(10)
        state.put("late")
        put.set()

    @app.on("orders", "fast", blocking=True)
    def fast(event: Event, state: State) -> Draft:
        go_on.set()
        put.wait(10)
        return emit("seen", state.get(str), type="seen")

    kept = Kept()
    events = make_event(1, type="slow"), make_event(2, type="fast")
    outcome = await run(one(app), *events, kept=kept)

    assert [failure.record.event for failure in outcome.failures] == [events[0]]
    assert [bytes(e.event.data) for e in outcome.emits] == [b"null"]
    assert kept.json() == {}


async def test_a_stop_iteration_in_a_thread_is_an_error_like_any_other() -> None:
    def handle(created: OrderCreated) -> None:
        next(iter(()))

    outcome = await run(declared(handle, blocking=True), order(1))

    assert [why for _, why in failed(outcome)] == ["the handler raised StopIteration"]


async def test_a_cancellation_from_within_fails_the_record() -> None:
    async def handle(created: OrderCreated) -> None:
        raise asyncio.CancelledError

    outcome = await run(declared(handle), order(1))

    assert isinstance(outcome.failures[0].error, HandlerError)
    assert "was cancelled from within" in failed(outcome)[0][1]


@pytest.mark.parametrize("timeout_s", [None, 30.0])
async def test_a_cancellation_from_outside_is_never_swallowed(timeout_s: float | None) -> None:
    started = asyncio.Event()

    async def handle(event: Event) -> None:
        started.set()
        await asyncio.Event().wait()

    processor = declared(handle, timeout_s=timeout_s)
    batch = Batch(Partition("orders", 0), records([order(1)]), (), 1)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(processor.process(batch, Kept(), now_us=NOW_US), name="process")
        await started.wait()
        task.cancel()

    assert task.cancelled()


async def test_an_async_batch_handler_fails_one_by_one() -> None:
    calls: list[int] = []

    async def handle(orders: list[OrderCreated]) -> None:
        calls.append(len(orders))
        if any(o.order_id == "o2" for o in orders):
            raise ValueError("no")

    outcome = await run(declared(handle, batch=True), order(1), order(2, key="b"), order(3))

    assert calls == [3, 1, 1, 1]
    assert failed(outcome) == [(order(2).id, "no")]


async def test_a_blocking_batch_handler_gets_its_lists_in_a_thread() -> None:
    seen: list[tuple[bool, int]] = []

    def handle(orders: list[OrderCreated]) -> list[Draft]:
        seen.append((threading.current_thread() is threading.main_thread(), len(orders)))
        return [emit("stock", StockChecked(o.order_id)) for o in orders]

    outcome = await run(declared(handle, batch=True, blocking=True), order(1), order(2))

    assert seen == [(False, 2)]
    assert len(outcome.emits) == 2


@pytest.mark.parametrize("options", [{}, {"blocking": True}, {"timeout_s": 30.0, "blocking": True}])
@pytest.mark.parametrize("stateful", [False, True])
async def test_a_cancellation_made_up_by_a_plain_function_fails_its_record(
    options: dict[str, object], *, stateful: bool
) -> None:
    def plain(created: OrderCreated) -> Draft:
        if created.total:
            raise asyncio.CancelledError
        return emit("stock", StockChecked(created.order_id))

    def keeping(created: OrderCreated, state: State) -> Draft:
        return plain(created)

    processor = declared(keeping if stateful else plain, **options)
    outcome = await run(processor, order(1), order(2, key="b", total=1), order(3))

    ((id, why),) = failed(outcome)
    assert (id, len(outcome.emits)) == (order(2).id, 2)
    assert "was cancelled from within" in why


class Panic(BaseException):
    """As native libraries raise them."""


@pytest.mark.parametrize("batch", [False, True])
async def test_a_panic_fails_its_record(*, batch: bool) -> None:
    def one_order(created: OrderCreated) -> None:
        raise Panic("index out of bounds")

    def orders(created: list[OrderCreated]) -> None:
        raise Panic("index out of bounds")

    processor = declared(orders if batch else one_order, batch=batch)
    outcome = await run(processor, order(1))

    assert isinstance(outcome.failures[0].error, HandlerError)
    assert isinstance(outcome.failures[0].error.__cause__, Panic)


async def test_a_cancellation_in_a_filter_fails_its_record() -> None:
    def handle(event: Event, state: State) -> None: ...
    def where(event: Event) -> bool:
        raise asyncio.CancelledError

    outcome = await run(declared(handle, where=where), order(1))

    assert len(outcome.failures) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("stateful", [False, True])
async def test_what_is_meant_for_the_whole_program_goes_on(
    error: type[BaseException], *, stateful: bool
) -> None:
    def plain(event: Event) -> None:
        raise error

    def keeping(event: Event, state: State) -> None:
        raise error

    processor = declared(keeping if stateful else plain)
    batch = Batch(Partition("orders", 0), records([order(1)]), (), 1)
    with pytest.raises(error):
        await processor.process(batch, Kept(), now_us=NOW_US)


async def test_the_wait_for_a_thread_does_not_count_towards_the_timeout() -> None:
    app = Handlers("shop")
    go_on = threading.Event()

    @app.on("orders", blocking=True, timeout_s=0.2)
    def handle(event: Event) -> None: ...

    with ThreadPoolExecutor(1) as executor:
        (compiled,) = app.compile(executor=executor)
        taken = executor.submit(go_on.wait, 10)
        async with asyncio.TaskGroup() as group:
            handled = group.create_task(run(compiled.processor, order(1)), name="handle")
            await asyncio.wait([handled], timeout=0.5)
            assert not handled.done()
            go_on.set()

    assert taken.result()
    assert failed(handled.result()) == []
