import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header

from motet.core.event import Message, Partition
from motet.drivers.amqp import messages, wire

FRAME_MAX = 4096


def frames(data: bytes) -> list[object]:
    found = []
    while data:
        used, channel, value = frame.unmarshal(data)
        assert channel == 7
        found.append(value)
        data = data[used:]
    return found


@given(
    st.binary(max_size=3 * FRAME_MAX),
    st.from_regex(r"[a-z.-]{0,40}", fullmatch=True),
    st.text(max_size=40),
)
def test_what_is_packed_by_hand_is_what_pamqp_reads(value: bytes, exchange: str, key: str) -> None:
    route = wire.route(7, exchange, key, messages.PLAIN, frame_max=FRAME_MAX)
    publish, head, *pieces = frames(route.pack(value))
    assert isinstance(publish, commands.Basic.Publish)
    assert (publish.exchange, publish.routing_key, publish.mandatory) == (exchange, key, True)
    assert isinstance(head, header.ContentHeader)
    assert head.body_size == len(value)
    assert head.properties.delivery_mode == 2
    assert all(isinstance(piece, body.ContentBody) for piece in pieces)
    assert b"".join(piece.value for piece in pieces) == value


@pytest.mark.parametrize("multiple", [False, True])
def test_an_acknowledgement_is_what_pamqp_reads(multiple: bool) -> None:
    (method,) = frames(wire.ack(7, 2**40, multiple=multiple))
    assert isinstance(method, commands.Basic.Ack)
    assert (method.delivery_tag, method.multiple) == (2**40, multiple)


def delivered(properties: commands.Basic.Properties, value: bytes = b"x") -> wire.Delivery:
    head = header.ContentHeader(body_size=len(value), properties=properties).marshal()
    method = commands.Basic.Deliver("c", 5, True, "shop", "3").marshal()
    data = b"before" + method
    found = wire.deliver(data, len(b"before"), len(data))
    assert found.consumer == b"c"
    return wire.Delivery(found.tag, found.redelivered, found.place, head, value)


def test_a_delivery_says_where_it_was_published() -> None:
    delivery = delivered(commands.Basic.Properties())
    assert (delivery.tag, delivery.redelivered) == (5, True)
    assert (delivery.exchange, delivery.routing_key) == ("shop", "3")
    assert messages.offset(delivery) == -1


@pytest.mark.parametrize("headers", [{}, {"a": "b"}, {"z": 1}])
def test_the_offset_in_a_stream_is_found_among_other_headers(headers: dict[str, object]) -> None:
    table = {**headers, "x-stream-offset": 2**40}
    delivery = delivered(commands.Basic.Properties(headers=table, delivery_mode=2))
    assert messages.offset(delivery) == 2**40


@given(
    st.binary(max_size=20),
    st.none() | st.binary(max_size=20),
    st.dictionaries(st.sampled_from(["a", "b", "content-type"]), st.text(min_size=1, max_size=9)),
)
def test_a_message_comes_back_with_key_and_headers(
    key: bytes, value: bytes | None, pairs: dict[str, str]
) -> None:
    headers = tuple((name, text.encode()) for name, text in pairs.items())
    message = Message(key, value, headers)
    flags = header.ContentHeader()
    flags.unmarshal(b"\0\x3c\0\0" + bytes(8) + messages.properties_of(message))
    back = messages.message_of(delivered(flags.properties, value or b""))
    assert (back.key, back.value) == (key, value)
    assert sorted(back.headers) == sorted(headers)


def test_what_motet_wrote_needs_no_header_to_be_looked_at() -> None:
    table: dict[str, object] = {"x-stream-offset": 2**40}
    delivery = delivered(commands.Basic.Properties(headers=table, delivery_mode=2), b"{}")
    assert len(delivery.head) == 44
    good, broken = messages.records(Partition("t", 0), [delivery])
    assert not good
    assert [(each.offset, each.headers) for each in broken] == [(2**40, ())]
