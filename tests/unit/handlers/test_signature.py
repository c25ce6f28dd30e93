"""Mistakes in a declaration are found there, and the message names function and parameter."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from motet.core.errors import ConfigError
from motet.core.event import Event
from motet.core.outcome import Emit, Outcome
from motet.handlers import Context, Draft, Handlers, State
from motet.resilience import RetryPolicy
from motet.testing.events import make_event
from tests.unit.handlers.world import OrderCreated, StockChecked, declared, order, run

if TYPE_CHECKING:
    from motet.nowhere import Missing


class NoJson:
    pass


class Paid:
    __name__ = "paid"

    async def __call__(self, created: OrderCreated) -> None: ...


def no_annotation(created): ...
def no_json(created: NoJson) -> None: ...
def two_payloads(one: OrderCreated, two: StockChecked) -> None: ...
def any_number(*created: OrderCreated) -> None: ...
def unresolved(created: "Missing") -> None: ...
def single(created: OrderCreated) -> None: ...
def event_only(event: Event) -> None: ...
def several(created: list[OrderCreated]) -> None: ...
def keeping(created: OrderCreated, state: State) -> None: ...
async def awaited(created: OrderCreated) -> None: ...
async def async_generator(created: OrderCreated):
    yield 1


def returns_payload(created: OrderCreated) -> StockChecked: ...
def returns_unnamed(created: OrderCreated) -> list[RetryPolicy]: ...
def returns_dict(created: OrderCreated) -> dict[str, int]: ...
def returns_text(created: OrderCreated) -> str | None: ...
def two_arguments(created: OrderCreated, other: int) -> bool: ...


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (no_annotation, {}, "'created' has no annotation; allowed are Event, Record"),
        (no_json, {}, "'created' is NoJson, no JSON type"),
        (two_payloads, {}, "'two' is a second payload"),
        (any_number, {}, "'created' takes any number of arguments"),
        (unresolved, {}, "cannot be resolved .*Missing"),
        (single, {"batch": True}, "'created' is OrderCreated; allowed are list"),
        (single, {"type": "order.paid"}, "listens to 'order.paid', but its payload is of type"),
        (single, {"timeout_s": 1.0}, "timeout_s needs an async function, or blocking=True"),
        (awaited, {"timeout_s": 0.0}, "timeout_s is 0.0"),
        (awaited, {"blocking": True}, "is async: leave blocking= out"),
        (async_generator, {}, "async generator"),
        (single, {"state": lambda created: "k"}, "no parameter annotated State"),
        (keeping, {"state": two_arguments}, "state= takes one argument"),
        (event_only, {"where": lambda e: True}, "takes no payload: write where= as a function"),
        (single, {"on_failure": "panic"}, "on_failure is 'panic'"),
        (returns_payload, {}, "returns StockChecked, but to= names no topic"),
        (returns_unnamed, {"to": "a"}, "returns RetryPolicy, which has no event type"),
        (returns_dict, {"to": "a"}, "returns dict: return emit"),
        (returns_text, {}, "returns str: return emit"),
    ],
)
def test_a_wrong_declaration(
    function: Callable[..., object], options: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        declared(function, **options)
    assert f"'{function.__name__}'" in str(caught.value)


def test_a_handler_needs_a_name() -> None:
    with pytest.raises(ConfigError, match="give one with name="):
        declared(lambda event: None)
    with pytest.raises(ConfigError, match="give one with name="):
        declared(partial(single))
    with pytest.raises(ConfigError, match="topic is empty"):
        declared(single, topic="")


async def test_what_has_a_default_keeps_it() -> None:
    seen: list[object] = []

    def handle(created: OrderCreated, rate: float = 0.5, *, event: Event | None = None) -> None:
        seen.extend((rate, event))

    await run(declared(handle), order(1))

    assert seen == [0.5, None]


def test_returns_that_are_fine() -> None:
    def optional(created: OrderCreated) -> Draft | None: ...
    def many(created: OrderCreated) -> list[Draft | Emit] | Outcome: ...
    def generated(created: OrderCreated) -> Iterator[StockChecked]: ...
    def pair(created: OrderCreated) -> tuple[StockChecked, ...]: ...
    def anything(created: OrderCreated) -> object: ...

    for function in (optional, many, generated, pair, anything):
        declared(function, to="stock")


async def test_objects_partials_and_methods_are_functions_too() -> None:
    seen: list[object] = []

    class Counter:
        def count(self, created: OrderCreated, context: Context) -> None:
            seen.append(created.order_id)

    def handle(sink: list[object], created: OrderCreated) -> None:
        sink.append(created.order_id)

    assert declared(Paid(), name="paid").concurrency.value == "lanes"
    await run(declared(Counter().count), order(1))
    await run(declared(partial(handle, seen), name="partial"), order(2))

    assert seen == ["o1", "o2"]


async def test_a_payload_may_be_any_json_type() -> None:
    seen: list[object] = []

    def whole(payload: object) -> None:
        seen.append(payload)

    def optional(payload: dict[str, int] | None) -> None:
        seen.append(payload)

    await run(declared(whole), make_event(1, data=[1, "a"]))
    await run(declared(optional), make_event(1), make_event(2, data={"n": 1}))

    assert seen == [[1, "a"], None, {"n": 1}]


def test_declaring_leaves_the_function_as_it_is() -> None:
    assert Handlers("shop").on("orders")(single) is single
