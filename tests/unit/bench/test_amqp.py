import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from motet.bench.amqp import Inbox, packer
from motet.core.errors import MotetError


def delivery(tag: int, body: bytes, *, consumer: str = "queue.0") -> bytes:
    method = commands.Basic.Deliver(
        consumer_tag=consumer, delivery_tag=tag, exchange="", routing_key="queue.0"
    )
    header = ContentHeader(
        body_size=len(body), properties=commands.Basic.Properties(headers={"a": 1})
    )
    parts = (method, header, ContentBody(body))
    return b"".join(frame.marshal(part, 1) for part in parts)


def confirm(tag: int, *, multiple: bool = False) -> bytes:
    return frame.marshal(commands.Basic.Ack(delivery_tag=tag, multiple=multiple), 1)


def test_a_packed_publish_is_what_pamqp_reads() -> None:
    packed = packer("queue.1")(b"body")

    size, channel, method = frame.unmarshal(packed)
    header_size, _, header = frame.unmarshal(packed[size:])
    _, _, body = frame.unmarshal(packed[size + header_size :])

    assert (channel, method.routing_key, method.exchange) == (1, "queue.1", "")
    assert (header.body_size, header.properties.delivery_mode) == (4, 2)
    assert body.value == b"body"


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), st.data())
def test_deliveries_are_read_wherever_the_bytes_are_cut(
    bodies: list[bytes], data: st.DataObject
) -> None:
    sent = b"".join(delivery(tag, body) + confirm(tag) for tag, body in enumerate(bodies, 1))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    inbox = Inbox()
    inbox.unconfirmed.extend(range(1, len(bodies) + 1))

    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        inbox.feed(sent[start:end])

    assert inbox.take(len(bodies)) == [
        (b"queue.0", tag, body) for tag, body in enumerate(bodies, 1)
    ]
    assert not inbox.unconfirmed


def test_a_confirm_out_of_order_does_not_stand_for_those_before_it() -> None:
    inbox = Inbox()
    inbox.unconfirmed.extend((1, 2, 3))

    inbox.feed(confirm(2))
    assert list(inbox.unconfirmed) == [1, 2, 3]
    inbox.feed(confirm(1))
    assert list(inbox.unconfirmed) == [3]


def test_one_confirm_may_stand_for_all_up_to_it() -> None:
    inbox = Inbox()
    inbox.unconfirmed.extend((1, 2, 3))

    inbox.feed(confirm(2, multiple=True))

    assert list(inbox.unconfirmed) == [3]


def test_a_body_in_several_frames_is_refused() -> None:
    header = ContentHeader(body_size=10, properties=commands.Basic.Properties())
    method = commands.Basic.Deliver("queue", 1, False, "", "queue")
    parts = (method, header, ContentBody(b"five."))

    with pytest.raises(MotetError, match="smaller events"):
        Inbox().feed(b"".join(frame.marshal(part, 1) for part in parts))


def test_a_closed_channel_is_an_error() -> None:
    closed = commands.Channel.Close(404, "no queue", 60, 20)

    with pytest.raises(MotetError, match="no queue"):
        Inbox().feed(frame.marshal(closed, 1))
