"""RabbitMQ for tests: each test gets a vhost of its own, removed with all that is in it."""

import asyncio
import base64
import json
import secrets
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from scripts.services import known
from tests.services import real


@asynccontextmanager
async def vhost() -> AsyncIterator[str]:
    """The URL of a vhost that is empty, on the broker of `make services`."""
    url = await asyncio.to_thread(real, "rabbitmq")
    name = f"motet-test-{secrets.token_hex(6)}"
    await managed("PUT", f"/api/vhosts/{name}")
    try:
        yield f"{url}/{name}"
    finally:
        await managed("DELETE", f"/api/vhosts/{name}")


def management() -> str:
    """The URL of its HTTP API."""
    return known("rabbitmq").urls["rabbitmq management"]


async def managed(method: str, path: str, url: str = "") -> object:
    """Call the HTTP API of the broker, or that at `url`."""
    return await asyncio.to_thread(_call, method, path, url or management())


def _call(method: str, path: str, url: str) -> object:
    parts = urlsplit(url)
    login = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    request = urllib.request.Request(
        f"http://{parts.hostname}:{parts.port}{path}",
        method=method,
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        body = answer.read()
    return json.loads(body) if body else None
