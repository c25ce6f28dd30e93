"""Handlers tried out without a log and a database."""

import msgspec
import pytest

from motet import App, ConfigError, Draft, Event, HandlerError, State, emit, event
from motet.core.outcome import Append, Outcome
from motet.testing import START_US, Emitted, handle, make_event

app = App("shop")


@event("order.placed")
class OrderPlaced(msgspec.Struct):
    sku: str
    quantity: int


@app.on("orders")
def reserve(order: OrderPlaced, state: State) -> Draft:
    left = (state.get(int) or 0) - order.quantity
    if left < 0:
        raise HandlerError("sold out", retryable=False)
    state.put(left)
    return emit("stock", {"left": left}, type="stock.reserved", delay_s=60)


@app.on("parcels", group="packing")
async def pack(event: Event) -> Outcome:
    return Outcome(appends=(Append("parcel", (event,)),))


@app.on("parcels", group="sums")
def forget(event: Event, state: State) -> None:
    state.delete()


def placed(number: int, quantity: int, *, sku: str = "screw") -> Event:
    data = {"sku": sku, "quantity": quantity}
    return make_event(number, type="order.placed", key=sku, data=data)


def test_what_a_handler_emits_and_keeps_is_shown() -> None:
    handled = handle(app, "orders", placed(1, 3), placed(2, 2), state={"screw": 10, "nail": 1})

    later_us = START_US + 60_000_000
    assert handled.emitted == (
        Emitted("stock", "stock.reserved", "screw", {"left": 7}, later_us),
        Emitted("stock", "stock.reserved", "screw", {"left": 5}, later_us),
    )
    assert handled.state == {"screw": 5, "nail": 1}
    assert handled.failed == ()


def test_what_fails_for_good_is_shown_and_leaves_no_trace() -> None:
    handled = handle(app, "orders", placed(1, 11), placed(2, 1), state={"screw": 10})

    assert [str(error) for error in handled.failed] == ["sold out"]
    assert [emitted.data for emitted in handled.emitted] == [{"left": 9}]
    assert handled.state == {"screw": 9}


def test_a_payload_that_is_none_of_its_type_fails() -> None:
    handled = handle(app, "orders", make_event(1, type="order.placed", data={"sku": 7}))

    assert [type(error).__name__ for error in handled.failed] == ["CodecError"]


def test_one_group_of_several_is_named() -> None:
    assert handle(app, "parcels", make_event(1), group="packing").appended != ()
    assert handle(app, "parcels", make_event(1), group="sums", state={"k": 1}).state == {}
    with pytest.raises(ConfigError, match="packing, sums; name one"):
        handle(app, "parcels", make_event(1))
    with pytest.raises(ConfigError, match="'letters': none"):
        handle(app, "letters", make_event(1))
