"""What a handler may return, and what it is told when it returns something else."""

from collections.abc import Iterator

import msgspec
import pytest

from motet.core.errors import HandlerError
from motet.core.event import ABSENT, Event
from motet.core.extras import Extra, Open
from motet.core.outcome import Append, Emit, Failure, Outcome, Put
from motet.core.schemas import event
from motet.handlers import Draft, emit
from motet.testing.events import make_event
from tests.unit.handlers.world import (
    NOW_US,
    OrderCreated,
    StockChecked,
    declared,
    failed,
    order,
    run,
)


async def returned(result: object, **options: object) -> Outcome:
    def handle(created: OrderCreated) -> object:
        return result

    return await run(declared(handle, **options), order(1))


async def test_a_payload_goes_to_the_topic_of_the_handler() -> None:
    for _ in range(2):
        (emitted,) = (await returned(StockChecked("o1"), to="stock")).emits
        assert (emitted.topic, emitted.event.type) == ("stock", "stock.checked")


async def test_an_event_goes_to_the_topic_of_the_handler_as_it_is() -> None:
    event = make_event(5)
    assert (await returned(event, to="stock")).emits == (Emit("stock", event),)
    assert (await returned(emit("stock", event, at_us=9))).emits == (Emit("stock", event, 9),)


async def test_lists_tuples_and_generators_are_taken_in_order() -> None:
    def generated() -> Iterator[object]:
        yield emit("a", 1, type="n")
        yield None
        yield StockChecked("o1")

    parts = [emit("a", 1, type="n"), None, StockChecked("o1")]
    expected = (await returned(parts, to="stock")).emits

    assert [emitted.topic for emitted in expected] == ["a", "stock"]
    assert (await returned(tuple(parts), to="stock")).emits == expected
    assert (await returned(generated(), to="stock")).emits == expected


async def test_an_outcome_adds_its_emits_and_appends() -> None:
    appended, emitted = Append("s", (make_event(1),), 0), Emit("a", make_event(2))
    outcome = await returned([Outcome(appends=(appended,)), Outcome(emits=(emitted,))])

    assert (outcome.appends, outcome.emits) == ((appended,), (emitted,))


async def test_delays_are_counted_from_now() -> None:
    outcome = await returned(
        [emit("a", type="x", delay_s=1.5), emit("a", type="x", at_us=77), emit("a", type="x")]
    )
    assert [e.not_before_us for e in outcome.emits] == [NOW_US + 1_500_000, 77, 0]


async def test_id_key_type_and_metadata_can_be_given() -> None:
    draft = emit("a", {"n": 1}, type="x.y", key="other", id="mine", metadata={"priority": 3})
    (emitted,) = (await returned(draft)).emits

    assert (emitted.event.id, emitted.event.key, emitted.event.type) == ("mine", "other", "x.y")
    assert bytes(emitted.event.metadata) == b'{"priority":3}'
    (plain,) = (await returned(emit("a", type="x"))).emits
    assert plain.event.metadata is ABSENT
    assert bytes(plain.event.data) == b"null"


async def test_members_a_payload_did_not_know_travel_on() -> None:
    @event("thing.seen")
    class Seen(Open, frozen=True):
        n: int

    (emitted,) = (await returned(emit("a", Seen(1, extra=Extra({"new": [2]}))))).emits
    assert msgspec.json.decode(emitted.event.data) == {"n": 1, "new": [2]}


class Unnamed(msgspec.Struct):
    n: int = 1


ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("result", "options", "said"),
    [
        (3, {}, "returned a int: allowed are None, emit"),
        ("stock", {}, "returned a str"),
        ({"a": 1}, {"to": "stock"}, "returned a dict"),
        ({emit("a", type="x")}, {}, "returned a set"),
        (StockChecked("x"), {}, "returned a StockChecked: to= names no topic"),
        (make_event(1), {}, "returned a Event: to= names no topic"),
        (Unnamed(), {"to": "stock"}, "emits a Unnamed to 'stock' without an event type"),
        (emit("a", {"n": 1}), {}, "emits a dict to 'a' without an event type"),
        (emit("a", object(), type="x"), {}, "cannot be JSON"),
        (emit("a", ENDLESS, type="x"), {}, "cannot be JSON"),
        (emit("a", type="x", metadata={"n": object()}), {}, "cannot be JSON"),
        (Outcome(puts=(Put("k", b"1", 0),)), {}, "take a State parameter"),
        (Outcome(failures=(Failure(None),)), {}, "raise to fail"),
        ([emit("a", type="x"), 3], {}, "returned a int"),
    ],
)
async def test_anything_else_fails_for_good_and_says_why(
    result: object, options: dict[str, object], said: str
) -> None:
    outcome = await returned(result, **options)

    ((_, why),) = failed(outcome)
    assert said in why
    assert "'handle'" in why
    error = outcome.failures[0].error
    assert isinstance(error, HandlerError)
    assert not error.retryable
    assert outcome.emits == ()


@pytest.mark.parametrize(
    ("topic", "options", "said"),
    [
        ("", {}, "topic is empty"),
        ("a", {"delay_s": -1.0}, "below 0"),
        ("a", {"delay_s": 1.0, "at_us": 5}, "not both"),
    ],
)
def test_emit_refuses_what_cannot_be_meant(
    topic: str, options: dict[str, float], said: str
) -> None:
    with pytest.raises(HandlerError, match=said):
        emit(topic, **options)


def test_a_draft_of_one_handler_is_a_value() -> None:
    assert emit("a", 1, type="x") == Draft("a", 1, "x")


async def test_a_handler_that_takes_nothing_is_called_too() -> None:
    def handle() -> Draft:
        return emit("a", type="x")

    assert len((await run(declared(handle), order(1), make_event(2))).emits) == 2


async def test_a_payload_after_an_event_keeps_the_order() -> None:
    def handle(event: Event, created: OrderCreated) -> Draft:
        return emit("a", f"{event.key} {created.order_id}", type="x")

    (emitted,) = (await run(declared(handle), order(1, key="c"))).emits
    assert bytes(emitted.event.data) == b'"c o1"'
