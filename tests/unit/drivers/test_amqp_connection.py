import msgspec
import pytest
from pamqp import base, body, commands, frame, header

from motet.core.clock import SystemClock
from motet.core.errors import Unavailable
from motet.drivers.amqp import Connection, Delivery, parse_address
from motet.drivers.amqp.channel import Channel

ADDRESS = msgspec.structs.replace(parse_address("amqp://mq.example"), timeout_s=0.05)


def sent(value: base.Frame, channel: int = 0) -> bytes:
    return frame.marshal(value, channel)


async def test_a_broker_short_of_memory_holds_publishers_back_and_says_why() -> None:
    connection = Connection(ADDRESS)
    connection.data_received(sent(commands.Connection.Blocked("low on memory")))
    with pytest.raises(Unavailable, match="low on memory"):
        await connection.ready()
    connection.data_received(sent(commands.Connection.Unblocked()))
    await connection.ready()
    assert connection.error is None


async def test_a_full_write_buffer_holds_publishers_back() -> None:
    connection = Connection(ADDRESS)
    connection.pause_writing()
    with pytest.raises(Unavailable, match=r"mq\.example:5672 takes no messages"):
        await connection.ready()
    connection.resume_writing()
    await connection.ready()


async def test_a_call_without_an_answer_closes_the_connection() -> None:
    connection = Connection(ADDRESS)
    with pytest.raises(Unavailable, match=r"did not answer Channel\.Open within 0\.05 s"):
        await connection.channel()
    with pytest.raises(Unavailable, match="did not answer"):
        await connection.channel()


@pytest.mark.parametrize(
    "data", [b"AMQP\0\0\x09\x01", b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(1 << 20)]
)
async def test_what_is_no_amqp_closes_the_connection(data: bytes) -> None:
    connection = Connection(ADDRESS)
    connection.data_received(data)
    with pytest.raises(Unavailable, match="sent what is no AMQP"):
        await connection.channel()


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000, 100_000])
async def test_messages_are_whole_however_their_bytes_come_in(piece_bytes: int) -> None:
    connection = Connection(ADDRESS)
    channel = connection._channels[3] = Channel(connection, 3)
    came: list[Delivery | None] = []
    tag, _ = channel.post_consume("q", came.append, prefetch=1)
    bodies = [b"", b"one", b"x" * 3000]
    data = b""
    for number, value in enumerate(bodies):
        data += sent(commands.Basic.Deliver(tag, number, False, "e", "k"), 3)
        data += frame.marshal(header.ContentHeader(body_size=len(value)), 3)
        for start in range(0, len(value), 1000):
            data += frame.marshal(body.ContentBody(value[start : start + 1000]), 3)
    for start in range(0, len(data), piece_bytes):
        connection.data_received(data[start : start + piece_bytes])
    assert [each.body for each in came if each] == bodies
    assert [each.tag for each in came if each] == [0, 1, 2]


async def test_a_consumer_is_ended_only_after_it_has_begun() -> None:
    connection = Connection(ADDRESS)
    channel = connection._channels[3] = Channel(connection, 3)
    tag, began = channel.post_consume("q", lambda _: None, prefetch=1)
    waiting = len(channel._answers)
    channel.post_cancel(tag)
    assert len(channel._answers) == waiting
    connection.data_received(sent(commands.Basic.QosOk(), 3))
    connection.data_received(sent(commands.Basic.ConsumeOk(tag), 3))
    await began
    await SystemClock().sleep(0)
    assert [call.names for call in channel._answers] == [("Basic.CancelOk",)]


async def test_an_answer_goes_to_the_call_it_answers() -> None:
    connection = Connection(ADDRESS)
    channel = connection._channels[3] = Channel(connection, 3)
    _, began = channel.post_consume("q", lambda _: None, prefetch=1)
    barrier = channel.post(commands.Queue.Declare(queue="q"))
    connection.data_received(sent(commands.Basic.QosOk(), 3))
    connection.data_received(sent(commands.Queue.DeclareOk("q", 0, 0), 3))
    assert barrier.done()
    assert not began.done()
    connection.data_received(sent(commands.Basic.ConsumeOk("3.1"), 3))
    assert began.done()
