"""Content-based routing: the same event on another topic."""

import msgspec
import pytest

from motet.core.errors import ConfigError
from motet.core.event import Event
from motet.core.outcome import Emit
from motet.core.ports import Concurrency
from motet.handlers import Handlers
from motet.handlers.routes import Router
from motet.testing.events import make_event
from tests.unit.handlers.world import declared, failed, one, run


async def routed(app: Handlers, *kinds: str) -> list[str]:
    outcome = await run(one(app), *[make_event(n, type=t) for n, t in enumerate(kinds)])
    assert not outcome.failures
    return [emitted.topic for emitted in outcome.emits]


async def test_a_table_of_types_and_globs() -> None:
    app = Handlers("shop")
    app.route(
        "orders",
        {"order.paid": "paid", "order.*": "rest", "*.paid": "never"},
        default="others",
    )
    assert await routed(app, "order.paid", "order.sent", "parcel.sent") == [
        "paid",
        "rest",
        "others",
    ]


async def test_what_has_no_target_stays_where_it_is() -> None:
    app = Handlers("shop")
    app.route("orders", {"a": "one"})
    assert await routed(app, "a", "b") == ["one"]


async def test_the_event_is_the_same_and_its_payload_is_not_looked_at() -> None:
    app = Handlers("shop")
    app.route("orders", {"a": "one"})
    event = msgspec.structs.replace(make_event(1, type="a"), data=msgspec.Raw(b"{broken"))

    assert (await run(one(app), event)).emits == (Emit("one", event),)


async def test_a_function_may_choose_one_several_or_none() -> None:
    app = Handlers("shop")
    targets: dict[str, str | list[str] | None] = {"a": "one", "b": ["one", "two"], "c": None}

    def choose(event: Event) -> str | list[str] | None:
        return targets[event.type]

    app.route("orders", choose, default="others")
    assert await routed(app, "a", "b", "c") == ["one", "one", "two", "others"]


async def test_a_route_can_be_limited_to_a_type() -> None:
    app = Handlers("shop")
    app.route("orders", {}, type="a.*", default="one")
    assert await routed(app, "a.b", "b.b") == ["one"]


@pytest.mark.parametrize("chosen", ["orders", "", 7])
async def test_a_choice_that_cannot_be_fails_the_event(chosen: object) -> None:
    def choose(event: Event) -> object:
        return [chosen]

    app = Handlers("shop")
    app.route("orders", choose)
    outcome = await run(one(app), make_event(1))

    assert f"route 'route.orders' of 'orders' chose {chosen!r}" in failed(outcome)[0][1]


@pytest.mark.parametrize(
    ("to", "default", "said"),
    [
        ({}, None, "leads nowhere"),
        ({"a": "orders"}, None, "leads from 'orders' to 'orders'"),
        ({"a": ""}, None, "leads from 'orders' to ''"),
        ({}, "orders", "leads from 'orders' to 'orders'"),
    ],
)
def test_a_wrong_route(to: dict[str, str] | Router, default: str | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Handlers("shop").route("orders", to, default=default)


def test_a_route_shares_the_group_of_the_app_unless_told_otherwise() -> None:
    def handle(event: Event) -> None: ...

    app = Handlers("shop")
    app.route("orders", {"a": "one"})
    app.on("orders")(handle)
    app.route("orders", {"a": "two"}, group="second")

    compiled = app.compile()
    assert [each.processor.name for each in compiled] == ["shop", "second"]
    assert declared(handle).concurrency is Concurrency.BATCH
