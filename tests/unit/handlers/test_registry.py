"""What an app declares, compiled: one processor per consumer group."""

import msgspec
import pytest

from motet.core.errors import ConfigError
from motet.core.event import Event
from motet.core.schemas import event
from motet.handlers import Handlers
from motet.handlers.handler import Options
from motet.resilience import RetryPolicy
from motet.testing.events import make_event
from tests.unit.handlers.world import one, run


def first(event: Event) -> None: ...
def second(event: Event) -> None: ...


def test_handlers_compile_to_one_processor_per_group() -> None:
    app = Handlers("shop")
    app.on("orders")(first)
    app.on("mail", group="mailer", on_failure="skip", retry=RetryPolicy(tries=2))(first)
    app.on("stock")(second)

    shop, mailer = app.compile()

    assert (shop.processor.name, shop.processor.topics) == ("shop", {"orders", "stock"})
    assert (shop.processor.parks, shop.retry) == (True, RetryPolicy())
    assert [handler.name for handler in shop.handlers] == ["first", "second"]
    assert (mailer.processor.name, mailer.processor.parks) == ("mailer", False)
    assert mailer.retry == RetryPolicy(tries=2)
    assert [handler.group for handler in app.handlers] == ["shop", "mailer", "shop"]


def test_an_app_without_declarations_compiles_to_nothing() -> None:
    assert Handlers("shop").compile() == []


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({}, {}, "have the same name"),
        (
            {"retry": RetryPolicy(tries=2)},
            {"name": "b", "retry": RetryPolicy(tries=3)},
            "different retry=",
        ),
        ({"on_failure": "park"}, {"name": "b", "on_failure": "skip"}, "different on_failure="),
    ],
)
def test_handlers_of_a_group_have_to_agree(one: Options, other: Options, said: str) -> None:
    app = Handlers("shop")
    app.on("orders", **one)(first)
    with pytest.raises(ConfigError, match=said):
        app.on("orders", **other)(first)


def test_one_may_say_what_the_others_leave_open() -> None:
    app = Handlers("shop")
    app.on("orders")(first)
    app.on("orders", retry=RetryPolicy(tries=2), on_failure="skip")(second)
    (compiled,) = app.compile()

    assert compiled.retry == RetryPolicy(tries=2)
    assert not compiled.processor.parks


def test_an_app_needs_a_name() -> None:
    with pytest.raises(ConfigError, match="needs a name"):
        Handlers("")


async def test_an_upcaster_declared_after_the_handler_is_used() -> None:
    app = Handlers("shop")
    seen: list[object] = []

    @event("a.b", version=2)
    class Payload(msgspec.Struct):
        many: int

    @app.on("orders")
    def handle(payload: Payload) -> None:
        seen.append(payload.many)

    @app.upcast("a.b", 1)
    def lift(payload: dict[str, object]) -> dict[str, object]:
        return {"many": payload["n"]}

    await run(one(app), make_event(1, type="a.b", data={"n": 4}))

    assert seen == [4]


def test_a_gap_between_upcasters_is_found_when_compiling() -> None:
    app = Handlers("shop")

    @event("a.b", version=3)
    class Payload(msgspec.Struct):
        n: int

    @app.on("orders")
    def handle(payload: Payload) -> None: ...

    app.upcast("a.b", 1)(lambda payload: payload)
    with pytest.raises(ConfigError, match="no upcaster from version 2 to 3"):
        app.compile()
