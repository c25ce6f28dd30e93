import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.core.extras import Extra, Open, encode_payload, keep_unknown, keeps_unknown
from tests.unit.core.strategies import objects, texts, values


class Item(Open, frozen=True):
    sku: str
    price: float = 0.0


class Plain(msgspec.Struct, frozen=True):
    note: str
    item: Item | None = None


class Order(Open, frozen=True, omit_defaults=True):
    order_id: str = msgspec.field(name="orderId")
    items: list[Item] = msgspec.field(default_factory=list)
    by_name: dict[str, Item] = msgspec.field(default_factory=dict)
    pair: tuple[Item, Plain] | None = None
    plain: Plain | None = None


class Paid(Open, tag="paid", tag_field="kind"):
    amount: int


class Node(Open):
    children: list["Node"] = msgspec.field(default_factory=list)


class Tree(msgspec.Struct):
    root: Node


class Row(Open, array_like=True):
    a: int
    b: int = 0


def decode(text: bytes, kind: type) -> msgspec.Struct:
    value = msgspec.json.decode(text, type=kind)
    keep_unknown(value, text)
    return value


def test_unknown_members_come_back_where_they_were() -> None:
    text = (
        b'{"orderId":"o-1","items":[{"sku":"A","price":1.5,"colour":"red"},{"sku":"B","price":2.0}],'
        b'"coupon":{"code":"X","cut":1.50}}'
    )

    order = decode(text, Order)

    assert isinstance(order, Order)
    assert order.extra == Extra({"coupon": msgspec.Raw(b'{"code":"X","cut":1.50}')})
    assert order.items[0].extra["colour"] == "red"
    assert not order.items[1].extra
    assert bytes(encode_payload(order)) == text


item_json = st.fixed_dictionaries({"sku": texts}, optional={"price": st.floats(-1e9, 1e9)})


@given(st.data(), objects)
def test_nothing_is_lost_at_any_depth(data: st.DataObject, unknown: dict[str, object]) -> None:
    def extended(members: dict[str, object]) -> dict[str, object]:
        more = data.draw(st.dictionaries(texts.map("x-".__add__), values, max_size=2))
        return {**more, **members}

    items = [extended(item) for item in data.draw(st.lists(item_json, max_size=3))]
    named = {name: extended({"sku": name}) for name in data.draw(st.lists(texts, max_size=2))}
    unknown = {f"x-{name}": value for name, value in unknown.items()}
    source = {
        **unknown,
        "orderId": "o",
        "items": items,
        "by_name": named,
        "pair": [extended({"sku": "p"}), {"note": "n", "item": extended({"sku": "q"})}],
    }

    order = decode(json.dumps(source).encode(), Order)
    found = json.loads(bytes(encode_payload(order)))

    for item in [*source["items"], *source["by_name"].values(), source["pair"][0]]:
        item.setdefault("price", 0.0)
    source["pair"][1]["item"].setdefault("price", 0.0)
    assert found == {name: value for name, value in source.items() if value not in ([], {})} | {
        name: value for name, value in unknown.items() if value in ([], {})
    }


def test_members_are_handed_on_from_one_event_to_the_next() -> None:
    item = decode(b'{"sku":"A","colour":"red"}', Item)
    assert isinstance(item, Item)

    dearer = Item(sku=item.sku, price=9.0, extra=item.extra)
    same = msgspec.structs.replace(item, price=9.0)

    assert bytes(encode_payload(dearer)) == b'{"sku":"A","price":9.0,"colour":"red"}'
    assert same == dearer


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Node(), b'{"children":[]}'),
        (Order(order_id="o"), b'{"orderId":"o"}'),
        (Order(order_id="o", extra=Extra({"a": 1})), b'{"orderId":"o","a":1}'),
        (Paid(amount=1, extra=Extra({"a": [1]})), b'{"kind":"paid","amount":1,"a":[1]}'),
        ({"a": Node(extra=Extra({"b": None}))}, b'{"a":{"children":[],"b":null}}'),
        (None, b"null"),
        ({"plain": [1, "x"]}, b'{"plain":[1,"x"]}'),
    ],
)
def test_nothing_of_the_mechanism_is_seen_on_the_wire(value: object, text: bytes) -> None:
    assert bytes(encode_payload(value)) == text


def test_a_tag_is_no_unknown_member() -> None:
    paid = decode(b'{"kind":"paid","amount":1,"by":"card"}', Paid)

    assert isinstance(paid, Paid)
    assert dict(paid.extra) == {"by": "card"}
    assert bytes(encode_payload(paid)) == b'{"kind":"paid","amount":1,"by":"card"}'


def test_structs_written_as_arrays_have_no_names_to_keep() -> None:
    row = decode(b"[1,2]", Row)

    assert isinstance(row, Row)
    assert (row.a, row.b, len(row.extra)) == (1, 2, 0)


def test_an_extra_is_a_mapping() -> None:
    extra = Extra({"a": 1, "b": [2]})

    assert dict(extra) == {"a": 1, "b": [2]}
    assert (len(extra), len(Extra()), bool(Extra({}))) == (2, 0, False)
    assert extra == Extra({"a": 1, "b": [2]}) != Extra()
    assert hash(extra) == hash(Extra({"a": 1, "b": [2]}))
    assert repr(extra) == "Extra({'a': 1, 'b': [2]})"
    with pytest.raises(KeyError):
        extra["c"]


def test_an_extra_is_a_copy_and_holds_no_buffer() -> None:
    buffer = bytearray(b'{"sku":"A","colour":"red"}')
    item = msgspec.json.decode(buffer, type=Item)
    keep_unknown(item, bytes(buffer))

    buffer[:] = b" " * len(buffer)

    assert item.extra["colour"] == "red"


@pytest.mark.parametrize(
    ("annotation", "keeps"),
    [
        (Item, True),
        (Plain, True),
        (Tree, True),
        (list[Item], True),
        (dict[str, Item | None], True),
        (Row, True),
        (msgspec.Struct, False),
        (dict[str, object], False),
        (list, False),
        (object, False),
        (None, False),
    ],
)
def test_types_that_keep_unknown_members_are_found(annotation: object, keeps: bool) -> None:
    assert keeps_unknown(annotation) is keeps


def test_what_has_no_json_form_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        encode_payload(object())


def test_a_plain_msgspec_encoder_fails_loudly_rather_than_lose_them() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(Item(sku="A", extra=Extra({"a": 1})))
