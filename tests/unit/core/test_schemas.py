import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core.errors import CodecError, ConfigError
from motet.core.event import Event
from motet.core.extras import Open, encode_payload
from motet.core.schemas import Schemas, declared, event
from tests.unit.core.strategies import raw, values


@event("order.created", version=3)
class OrderCreated(Open, frozen=True):
    order_id: str
    total_cents: int
    currency: str = "EUR"


@event("order.created", version=2)
class OldOrderCreated(msgspec.Struct, frozen=True):
    order_id: str
    total: float


class Line(msgspec.Struct):
    price: float


class Priced(msgspec.Struct):
    items: list[Line]


def to_2(payload: dict[str, object]) -> dict[str, object]:
    return {"order_id": payload.pop("id"), **payload}


def to_3(payload: dict[str, object]) -> dict[str, object]:
    total = payload.pop("total")
    assert isinstance(total, float)
    payload["total_cents"] = round(total * 100)
    return payload


def known() -> Schemas:
    schemas = Schemas()
    schemas.upcast("order.created", 1, to_2)
    schemas.upcast("order.created", 2, to_3)
    return schemas


def made(payload: object, *, version: int = 1, type: str = "order.created") -> Event:
    return Event(
        id="1", type=type, time="2026-05-25T10:15:30Z", schema_version=version, data=raw(payload)
    )


TODAY = OrderCreated(order_id="o-1", total_cents=1999)


# Declaring


def test_a_declaration_is_two_class_attributes() -> None:
    assert declared(OrderCreated) == declared(TODAY) == ("order.created", 3)
    assert declared(Line) is declared(dict) is declared(7) is None


def test_a_subclass_is_another_payload() -> None:
    class Special(OrderCreated, frozen=True):
        gift: bool = False

    assert declared(Special) is None


@pytest.mark.parametrize(("type", "version"), [("", 1), ("order.created", 0)])
def test_a_declaration_that_means_nothing_is_refused(type: str, version: int) -> None:
    with pytest.raises(ConfigError):
        event(type, version=version)


def test_a_type_and_version_has_one_payload() -> None:
    @event("order.created", version=3)
    class Other(msgspec.Struct):
        pass

    schemas = Schemas()
    schemas.register(OrderCreated)
    schemas.register(OrderCreated)
    schemas.register(OldOrderCreated)

    with pytest.raises(ConfigError, match=r"version 3 of 'order.created' is both OrderCreated and"):
        schemas.register(Other)


def test_a_payload_without_a_declaration_cannot_be_registered() -> None:
    with pytest.raises(ConfigError, match="Line has no event type: put @event"):
        Schemas().register(Line)


# Decoding


def test_todays_version_is_decoded_straight() -> None:
    decode = known().decoder(OrderCreated)

    assert decode(made({"order_id": "o-1", "total_cents": 1999}, version=3)) == TODAY


@pytest.mark.parametrize(
    ("payload", "version"),
    [({"id": "o-1", "total": 19.99}, 1), ({"order_id": "o-1", "total": 19.99}, 2)],
)
def test_old_versions_are_lifted_step_by_step(payload: object, version: int) -> None:
    assert known().decoder(OrderCreated)(made(payload, version=version)) == TODAY


def test_a_handler_of_an_older_version_is_given_that() -> None:
    decode = known().decoder(OldOrderCreated)

    found = OldOrderCreated(order_id="o-1", total=19.99)
    assert decode(made({"id": "o-1", "total": 19.99})) == found
    assert decode(made({"order_id": "o-1", "total": 19.99}, version=2)) == found


def test_a_plain_dict_is_of_the_latest_version_known() -> None:
    decode = known().decoder(dict[str, object], "order.created")

    assert decode(made({"id": "o-1", "total": 19.99})) == {"order_id": "o-1", "total_cents": 1999}


def test_other_types_of_event_are_not_lifted() -> None:
    schemas = known()

    assert schemas.decoder(dict, "order.paid")(made({"id": 1}, type="order.paid")) == {"id": 1}
    assert schemas.decoder(dict)(made({"id": 1})) == {"id": 1}


def test_without_upcasters_versions_only_ever_added_fields() -> None:
    decode = Schemas().decoder(OrderCreated)

    assert decode(made({"order_id": "o-1", "total_cents": 1999}, version=1)) == TODAY


def test_a_newer_event_is_decoded_if_it_fits_and_its_news_are_kept() -> None:
    decode = known().decoder(OrderCreated)
    payload = {"order_id": "o-1", "total_cents": 1999, "currency": "EUR", "gift": True}

    order = decode(made(payload, version=4))

    assert isinstance(order, OrderCreated)
    assert order.extra["gift"] is True
    assert json.loads(bytes(encode_payload(order))) == payload


def test_a_newer_event_that_does_not_fit_says_so() -> None:
    with pytest.raises(CodecError, match=r"version 4: .* \(this program knows version 3") as caught:
        known().decoder(OrderCreated)(made({"orderId": "o-1"}, version=4))

    assert caught.value.where == "$.payload.order_id"


def test_members_unknown_to_upcasters_travel_through_them() -> None:
    order = known().decoder(OrderCreated)(made({"id": "o-1", "total": 19.99, "gift": True}))

    assert isinstance(order, OrderCreated)
    assert dict(order.extra) == {"gift": True}


@given(values)
def test_any_payload_is_decoded_as_what_it_is(payload: object) -> None:
    assert Schemas().decoder(object)(made(payload)) == payload


@given(st.text(), st.integers(-(2**62), 2**62), st.integers(1, 9))
def test_lifting_is_the_same_as_having_been_written_today(
    order_id: str, cents: int, version: int
) -> None:
    schemas = Schemas()
    for step in range(1, 3):
        schemas.upcast("order.created", step, lambda payload: payload)
    today = OrderCreated(order_id=order_id, total_cents=cents)
    written = made(msgspec.json.decode(bytes(encode_payload(today))), version=version)

    assert schemas.decoder(OrderCreated)(written) == today


# What goes wrong


@pytest.mark.parametrize(
    ("payload", "where", "message"),
    [
        ({"items": [{"price": 1.0}, {"price": "x"}]}, "$.payload.items[1].price", "got `str`"),
        ({"items": [{}]}, "$.payload.items[0].price", "required"),
        ({}, "$.payload.items", "required"),
        ([], "$.payload", "expected `object`"),
    ],
)
def test_an_error_names_type_version_and_field(payload: object, where: str, message: str) -> None:
    with pytest.raises(CodecError, match=r"payload of 'order.created' version 1: ") as caught:
        Schemas().decoder(Priced)(made(payload))

    assert caught.value.where == where
    assert message in str(caught.value)
    assert json.loads(caught.value.value)["eventId"] == "1"


@pytest.mark.parametrize("data", [b'"\xff"', b"[1e999]", b"[" * 5_000])
def test_a_payload_that_is_no_json_is_a_codec_error(data: bytes) -> None:
    broken = msgspec.structs.replace(made(None), data=msgspec.Raw(data))

    for decode in (Schemas().decoder(object), known().decoder(OrderCreated)):
        with pytest.raises(CodecError):
            decode(broken)


def test_an_upcaster_that_fails_is_named() -> None:
    with pytest.raises(
        CodecError, match="upcaster from version 1 failed: KeyError: 'id'"
    ) as caught:
        known().decoder(OrderCreated)(made({}))

    assert isinstance(caught.value.__cause__, KeyError)


def test_an_upcaster_that_leaves_no_json_is_named() -> None:
    schemas = Schemas()
    schemas.upcast("order.created", 2, lambda payload: {"x": object()})

    with pytest.raises(CodecError, match="left no JSON"):
        schemas.decoder(OrderCreated)(made({}, version=2))


@pytest.mark.parametrize("payload", [None, [], "x"])
def test_only_objects_can_be_lifted(payload: object) -> None:
    with pytest.raises(CodecError, match="only an object can be lifted to version 2"):
        known().decoder(OrderCreated)(made(payload))


def test_a_lifted_payload_that_does_not_fit_says_that_it_was_lifted() -> None:
    with pytest.raises(CodecError, match=r"after lifting it to version 3"):
        known().decoder(OrderCreated)(made({"id": 5, "total": 1.0}))


def test_an_event_older_than_the_first_upcaster_is_an_error() -> None:
    schemas = Schemas()
    schemas.upcast("order.created", 2, to_3)

    with pytest.raises(CodecError, match="oldest version that can be lifted to 3 is 2") as caught:
        schemas.decoder(OrderCreated)(made({"id": "o-1", "total": 1.0}))

    assert caught.value.where == "$.version"


def test_a_gap_between_upcasters_is_found_before_any_event_comes() -> None:
    schemas = Schemas()
    schemas.upcast("order.created", 1, to_2)

    with pytest.raises(ConfigError, match="no upcaster from version 2 to 3"):
        schemas.decoder(OrderCreated)


def test_two_upcasters_from_one_version_are_one_too_many() -> None:
    schemas = known()

    with pytest.raises(ConfigError, match="two upcasters from version 1"):
        schemas.upcast("order.created", 1, to_2)
    with pytest.raises(ConfigError, match="start at 1"):
        schemas.upcast("order.created", 0, to_2)


def test_an_annotation_that_is_no_json_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="cannot be decoded as"):
        Schemas().decoder(dict[int | str, Line] | set[Line] | list[int])


def test_the_latest_version_is_registered_or_led_to() -> None:
    schemas = Schemas()
    assert schemas.latest("order.created") == 1

    schemas.register(OldOrderCreated)
    assert schemas.latest("order.created") == 2

    schemas.upcast("order.created", 4, to_3)
    assert schemas.latest("order.created") == 5
