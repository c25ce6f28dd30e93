"""Listening: uvicorn inside our own event loop, without its signals and its logging set-up."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from motet.core.errors import ConfigError
from motet.server.problems import MEDIA_TYPE, Problem

_QUEUED_CONNECTIONS = 2048  # accepted by the kernel and not yet by us
_LINGER_S = 1.0  # how long what follows something that is not HTTP is thrown away
_NOT_HTTP = msgspec.json.encode(
    Problem(title="Bad Request", status=400, detail="This is no HTTP/1.1 request.")
)


class _Problems:
    """Answers what is not HTTP in the shape of every other error, and lets it be read."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    refused = False

    def data_received(self, data: bytes) -> None:
        if not self.refused:
            super().data_received(data)  # type: ignore[misc]  # uvicorn's, see _Protocol

    def send_400_response(self, msg: str) -> None:
        head = (
            b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"
            b"content-type: %s\r\ncontent-length: %d\r\n\r\n"
        ) % (MEDIA_TYPE.encode(), len(_NOT_HTTP))
        self.transport.write(head + _NOT_HTTP)
        # Closed while its bytes are unread, a sender would see a reset, not the answer.
        self.refused = True
        self.loop.call_later(_LINGER_S, self.transport.close)


# httptools where it is installed (half as fast again), else h11, as uvicorn chooses.
_Protocol = type("_Protocol", (_Problems, AutoHTTPProtocol), {})


@asynccontextmanager
async def serving(
    asgi: ASGIApp, *, host: str = "127.0.0.1", port: int = 8080, drain_s: float = 10.0
) -> AsyncIterator[str]:
    """Serve until the block is left; yields the URL, with the real port if `port` is 0.

    On leaving, or when cancelled, no new connection is taken; requests under way are answered
    if they end within `drain_s` seconds. Handles no signals: whoever runs the process does.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    listener = listen(host, port)
    config = uvicorn.Config(
        asgi,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_QUEUED_CONNECTIONS,
        timeout_graceful_shutdown=max(1, round(drain_s)),
    )
    server = uvicorn.Server(config)
    try:
        async with asyncio.TaskGroup() as tasks:
            # The method without the signal handlers has no public name in uvicorn.
            task = tasks.create_task(server._serve([listener]), name="http")
            try:
                yield _url(listener)
            finally:
                server.should_exit = True
                await asyncio.wait([task])  # before the group cancels it, should we be cancelled
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise group.exceptions[0] from None  # what the block raised, as it raised it


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections; port 0 means a free one.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what is accepted; without it, uvicorn's
    # three writes per answer wait for the sender's delayed acknowledgement: 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_QUEUED_CONNECTIONS)
    except (OSError, OverflowError) as err:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {err}; choose another address or port"
        ) from err
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
