"""Receiving a request body within its limits of size, room and time."""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from motet.core.errors import BacklogFull
from motet.server.gate import Visit
from motet.server.limits import Limits
from motet.server.problems import ProblemError

_DISCARDED = 4  # times the limit: what is read and thrown away so that the sender sees the answer


async def read_body(receive: Receive, visit: Visit, limits: Limits) -> bytes:
    """Return the whole body; the bytes are held by `visit` until it ends.

    Raises:
        ProblemError: 408 too slow, 413 too large.
        BacklogFull: too many bodies are under way.
        ClientDisconnect: the sender went away; nobody reads an answer.
    """
    try:
        async with asyncio.timeout(limits.body_s):
            return await _receive_body(receive, visit, limits)
    except TimeoutError as err:
        raise ProblemError(
            408,
            f"The body did not arrive within {limits.body_s:g} s.",
            headers={"Connection": "close"},
        ) from err


async def _receive_body(receive: Receive, visit: Visit, limits: Limits) -> bytes:
    body = bytearray()
    while True:
        message = await _next(receive)
        chunk: bytes = message.get("body", b"")
        try:
            if len(body) + len(chunk) > limits.body_bytes:
                raise _too_large(limits)
            visit.hold(len(chunk))
        except (BacklogFull, ProblemError):
            body.clear()
            visit.release_bytes()
            await _discard(receive, message, limits)
            raise
        if not message.get("more_body", False):
            return bytes(body + chunk) if body else chunk
        body += chunk


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message


async def _discard(receive: Receive, message: Message, limits: Limits) -> None:
    # A sender that is still writing when the connection closes sees a reset, not the answer.
    left = _DISCARDED * limits.body_bytes
    while message.get("more_body", False) and left > 0:
        message = await _next(receive)
        left -= len(message.get("body", b""))


def _too_large(limits: Limits) -> ProblemError:
    return ProblemError(
        413,
        f"A body may have {limits.body_bytes} bytes; send the events in several requests.",
        headers={"Connection": "close"},
    )
