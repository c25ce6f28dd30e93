"""Values that a log or a store could not take fail their record, and nothing else."""

from collections.abc import Callable
from enum import StrEnum

import msgspec
import pytest

from motet.core.errors import HandlerError
from motet.core.event import Event
from motet.core.outcome import Append, Emit, Outcome
from motet.handlers import Draft, State, emit
from motet.handlers.checks import LATEST_US
from motet.testing.events import make_event
from tests.unit.handlers.world import NOW_US, OrderCreated, declared, failed, order, run


def changed(**changes: object) -> Event:
    return msgspec.structs.replace(make_event(9), **changes)


def raw(text: bytes) -> msgspec.Raw:
    return msgspec.Raw(text)


CASES: list[tuple[Callable[[], object], str]] = [
    # drafts
    (lambda: emit("a", type="x", key=5), "a key is a int"),
    (lambda: emit("a", type="x", key="\udcff"), "a key has half a surrogate pair, U+DCFF"),
    (lambda: emit("a", type="x", key="a\0"), "a key has a control character, U+0000"),
    (lambda: emit("a", type="x", key="k" * 256), "a key has 256 characters; at most 255"),
    (lambda: emit("a", type="x", id=5), "an event id is a int"),
    (lambda: emit("a", type="x", id="a\0b"), "an event id has a control character"),
    (lambda: emit("a", type="x", id="  "), "an event id is empty"),
    (lambda: emit("a", type="x", id="i" * 256), "an event id has 256"),
    (lambda: emit("a", type=7), "an event type is a int"),
    (lambda: emit("a", type="x\x85"), "an event type has a control character, U+0085"),
    (lambda: emit("a", type=["x"]), "is no text"),
    (lambda: emit(7, type="x"), "a topic is a int"),
    (lambda: emit({"a": 1}, type="x"), "is no text"),
    (lambda: emit("t" * 256, type="x"), "a topic has 256"),
    (lambda: Draft("", 1, "x"), "a topic is empty"),
    (lambda: emit(7, make_event(9)), "a topic is a int"),
    (lambda: emit("a", changed(id=5)), "an event's id is a int"),
    (lambda: emit("a", type="x", delay_s=1e14), "delay_s is 100000000000000.0, out of range"),
    (lambda: emit("a", type="x", delay_s=float("nan")), "delay_s is nan"),
    (lambda: Draft("a", 1, "x", delay_s=-1.0), "delay_s is -1.0"),
    (lambda: Draft("a", 1, "x", delay_s="1"), "delay_s is a str"),
    (lambda: emit("a", type="x", at_us=-1), "at_us is out of range"),
    (lambda: emit("a", type="x", at_us=LATEST_US + 1), "at_us is out of range"),
    (lambda: emit("a", type="x", at_us=1.5), "at_us is a float"),
    (lambda: emit("a", type="x", metadata=[1]), "metadata is a list"),
    (lambda: emit("a", type="x", metadata="m"), "metadata is a str"),
    (lambda: emit("a", raw(b""), type="x"), "cannot be JSON"),
    (lambda: emit("a", raw(b"<html>"), type="x"), "cannot be JSON"),
    (lambda: emit("a", raw(b'{"a":1} x'), type="x"), "cannot be JSON"),
    (lambda: emit("a", raw(b'"\xff"'), type="x"), "cannot be JSON"),
    (lambda: emit("a", raw(b"[" * 5000 + b"]" * 5000), type="x"), "cannot be JSON"),
    # emits
    (lambda: Emit(7, make_event(9)), "a topic is a int"),
    (lambda: Emit(["a"], make_event(9)), "a topic is a list"),
    (lambda: Emit("a", "event"), "a str where an event is wanted"),
    (lambda: Emit("a", make_event(9), -1), "not_before_us is out of range"),
    (lambda: Emit("a", make_event(9), None), "not_before_us is a NoneType"),
    # events
    (lambda: Emit("a", changed(id="")), "an event's id is empty"),
    (lambda: Emit("a", changed(type=" ")), "an event's type is empty"),
    (lambda: Emit("a", changed(key=None)), "an event's key is a NoneType"),
    (lambda: Emit("a", changed(source="\ud800")), "an event's source has half"),
    (lambda: Emit("a", changed(causation_id="c" * 256)), "an event's causation_id has 256"),
    (lambda: Emit("a", changed(time=5)), "an event's time is a int"),
    (lambda: Emit("a", changed(time="yesterday")), "an event's time: "),
    (lambda: Emit("a", changed(schema_version=2**31)), "schema_version is not from 1"),
    (lambda: Emit("a", changed(schema_version="1")), "schema_version is not from 1"),
    (lambda: Emit("a", changed(data={"a": 1})), "an event's data is a dict"),
    (lambda: Emit("a", changed(data=raw(b""))), "an event's data is no JSON"),
    (lambda: Emit("a", changed(metadata=raw(b"[]"))), "an event's metadata is no JSON object"),
    (lambda: Emit("a", changed(references=raw(b"{"))), "an event's references is no JSON"),
    # outcomes
    (lambda: Outcome(emits=Emit("a", make_event(9))), "an Outcome's emits is a Emit"),
    (lambda: Outcome(emits=(emit("a", type="x"),)), "a Draft where an Emit is wanted"),
    (lambda: Outcome(emits=(Emit(7, make_event(9)),)), "a topic is a int"),
    (lambda: Outcome(appends=("s",)), "a str where an Append is wanted"),
    (lambda: Outcome(appends=(Append(5, ()),)), "a stream is a int"),
    (lambda: Outcome(appends=(Append("", ()),)), "a stream is empty"),
    (lambda: Outcome(appends=(Append("s\0", ()),)), "a stream has a control character"),
    (lambda: Outcome(appends=(Append("s", None),)), "an Append's events is a NoneType"),
    (lambda: Outcome(appends=(Append("s", (changed(id="\0"),)),)), "an event's id has a control"),
    (lambda: Outcome(appends=(Append("s", (), "1"),)), "expected is no version"),
    (lambda: Outcome(appends=(Append("s", (), -1),)), "expected is no version"),
]


@pytest.mark.parametrize(("make", "said"), CASES, ids=[said for _, said in CASES])
@pytest.mark.parametrize("stateful", [False, True])
async def test_a_wrong_value_fails_its_record_for_good_and_no_other(
    make: Callable[[], object], said: str, *, stateful: bool
) -> None:
    def plain(created: OrderCreated) -> object:
        return [emit("fine", type="x"), make()] if created.total else emit("fine", type="x")

    def keeping(created: OrderCreated, state: State) -> object:
        state.put(1)
        return plain(created)

    handle = keeping if stateful else plain
    outcome = await run(declared(handle), order(1), order(2, total=1), order(3))

    ((id, why),) = failed(outcome)
    assert id == order(2).id
    assert said in why
    assert f"handler {handle.__name__!r}" in why
    error = outcome.failures[0].error
    assert isinstance(error, HandlerError)
    assert not error.retryable
    assert [emitted.topic for emitted in outcome.emits] == ["fine", "fine"]
    assert outcome.appends == ()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("a\0b", "state= gave has a control character"),
        ("\udcff", "state= gave has half a surrogate pair"),
        ("x" * 2049, "state= gave has 2049 characters"),
        (["fine", "a\n"], "state= gave has a control character"),
        ([5], "state= gave is a int"),
    ],
)
async def test_a_state_key_that_no_store_could_hold_fails_its_record(
    key: object, said: str
) -> None:
    def handle(created: OrderCreated, state: State) -> None: ...

    outcome = await run(declared(handle, state=lambda created: key), order(1))

    ((_, why),) = failed(outcome)
    assert said in why


async def test_a_state_value_given_as_raw_has_to_be_json() -> None:
    def handle(created: OrderCreated, state: State) -> None:
        state.put(raw(b"<html>"))

    ((_, why),) = failed(await run(declared(handle), order(1)))
    assert "cannot be JSON" in why


class Place(StrEnum):
    STOCK = "stock"


class Text(str):
    __slots__ = ()


async def test_text_of_any_kind_becomes_plain_text() -> None:
    def handle(created: OrderCreated) -> object:
        return [
            emit("stock", type="stock"),
            emit(Place.STOCK, type=Text("stock"), key=Text("k"), id=Place.STOCK),
            Emit(Place.STOCK, changed(key=Text("k"))),
        ]

    outcome = await run(declared(handle), order(1))

    for emitted in outcome.emits:
        event = emitted.event
        texts = emitted.topic, event.type, event.key, event.id
        assert [type(text) for text in texts] == [str] * 4
    assert outcome.emits[1].event.id == "stock"


async def test_text_and_times_within_the_limits_pass() -> None:
    key = "ключ-鍵-\u00a0\u2028-" + "k" * 200

    def handle(created: OrderCreated) -> object:
        data = raw('{"é":[1.5]}'.encode())
        return [
            emit("a", data, type="x", key=key, delay_s=1.5, metadata={"n": 1}),
            emit("a", type="x", key="", at_us=LATEST_US),
            Outcome(appends=(Append("s" * 2048, (changed(key=key),), 0),)),
        ]

    outcome = await run(declared(handle), order(1))

    assert failed(outcome) == []
    assert [e.event.key for e in outcome.emits] == [key, ""]
    assert [e.not_before_us for e in outcome.emits] == [NOW_US + 1_500_000, LATEST_US]


async def test_what_was_in_a_log_already_passes_as_it_is() -> None:
    old = changed(key="k" * 300, data=raw(b'{"order_id":"o1"}'))
    lifted = msgspec.structs.replace(old, key="k")

    def handle(event: Event) -> object:
        return [Emit("a", event), emit("a", event.data, type="x"), Emit("a", lifted)]

    outcome = await run(declared(handle), old)

    assert outcome.emits[0].event is old
    assert outcome.emits[1].event.data is old.data
    assert outcome.emits[2].event is lifted
