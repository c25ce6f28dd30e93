"""The HTTP side on real sockets."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx2
import pytest

from motet.backends import connect
from motet.core.clock import SystemClock
from motet.core.errors import ConfigError
from motet.server import Limits, Services, api, serving
from motet.server.serving import listen
from motet.testing.simulation import until

EVENT = {"eventType": "order.created"}


@asynccontextmanager
async def server(**limits: float) -> AsyncIterator[str]:
    async with connect("memory://") as backends:
        services = Services(
            transport=backends.transport, store=backends.store, limits=Limits(**limits)
        )
        async with serving(api(services), port=0) as url:
            yield url


async def raw(url: str, sent: bytes) -> bytes:
    """Send bytes and return the answer to them."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(sent)
    await writer.drain()
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        answer = head + await reader.readexactly(length)
    writer.close()
    return answer


async def refused(url: str) -> bool:
    """Whether nobody takes connections any more."""
    place = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(place.hostname, place.port)
    except OSError:
        return True
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return False


async def test_the_real_port_is_reported_and_answers() -> None:
    async with server() as url, httpx2.AsyncClient(base_url=url) as client:
        assert urlsplit(url).hostname == "127.0.0.1"
        assert urlsplit(url).port
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.post("/v1/events", json=EVENT)).status_code == 202


async def test_nothing_listens_once_the_block_is_left() -> None:
    async with server() as url:
        place = urlsplit(url)

    with pytest.raises(OSError, match=r"refused|failed"):
        await asyncio.open_connection(place.hostname, place.port)


async def test_signals_stay_with_whoever_runs_the_process() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    async with server() as url, httpx2.AsyncClient(base_url=url) as client:
        await client.get("/healthz")
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with serving(_nothing, port=0):
            raise ZeroDivisionError


async def test_a_port_in_use_is_an_error_that_says_so() -> None:
    async with server() as url:
        with pytest.raises(ConfigError, match="choose another"):
            async with serving(_nothing, port=urlsplit(url).port or 0):
                pass


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("127.0.0.1", 70_000)])
async def test_an_address_that_is_none_is_an_error_that_says_so(host: str, port: int) -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        async with serving(_nothing, host=host, port=port):
            pass


async def _nothing(scope: object, receive: object, send: object) -> None:
    raise AssertionError("nothing is asked of it")


async def test_a_request_under_way_is_answered_when_the_server_is_cancelled() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send) -> None:
        begun.set()
        await go.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    urls: asyncio.Queue[str] = asyncio.Queue()

    async def serve() -> None:
        async with serving(slow, port=0) as url:
            urls.put_nowait(url)
            await asyncio.Event().wait()

    async with httpx2.AsyncClient() as client, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(serve())
        url = await urls.get()
        asked = tasks.create_task(client.get(url))
        await begun.wait()
        running.cancel()
        await until(lambda: refused(url), SystemClock())  # it drains
        go.set()

    assert asked.result().status_code == 204
    assert running.cancelled()


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST /v1/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 5_000_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_not_http_is_answered_with_a_problem(sent: bytes) -> None:
    async with server() as url:
        answer = await raw(url, sent)

        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"content-type: application/problem+json" in answer


async def test_a_sender_of_too_much_sees_the_answer() -> None:
    async with server(body_bytes=100_000) as url:
        head = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n"
        answer = await raw(url, head + b"x" * 300_000)

        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"application/problem+json" in answer


async def test_a_body_in_many_chunks_is_one_body() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for part in (b'{"eventType"', b":", b'"a"}'):
            yield part

    async with server() as url, httpx2.AsyncClient(base_url=url) as client:
        answer = await client.post(
            "/v1/events", content=chunks(), headers={"content-type": "application/json"}
        )

        assert answer.status_code == 202


async def test_a_sender_that_goes_away_leaves_nothing_held() -> None:
    async with server(in_flight_bytes=1000, body_bytes=1000) as url:
        place = urlsplit(url)
        head = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n"
        for _ in range(5):
            with socket.create_connection((place.hostname, place.port)) as connection:
                connection.sendall(head + b"x" * 500)
        async with httpx2.AsyncClient(base_url=url) as client, asyncio.timeout(10):
            body = EVENT | {"payload": "x" * 700}
            while (await client.post("/v1/events", json=body)).status_code == 429:
                await SystemClock().sleep(0.02)
            answer = await client.post("/v1/events", json=body)

        assert answer.status_code == 202


def test_answers_are_not_held_back_for_acknowledgements() -> None:
    # asyncio sets TCP_NODELAY on what a listener accepts only if that names its protocol.
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
