"""A RabbitMQ for tests: each asks for a vhost of its own, which is removed with all that is in it.

`MOTET_TEST_RABBITMQ_URL` names the broker, `MOTET_TEST_RABBITMQ_MANAGEMENT` its HTTP API.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

URL = os.environ.get("MOTET_TEST_RABBITMQ_URL", "")
MANAGEMENT = os.environ.get("MOTET_TEST_RABBITMQ_MANAGEMENT", "")


def require() -> None:
    """Skip the test on a laptop without the broker; fail it in CI."""
    if not URL or not MANAGEMENT:
        why = "no RabbitMQ: set MOTET_TEST_RABBITMQ_URL and MOTET_TEST_RABBITMQ_MANAGEMENT"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


@asynccontextmanager
async def vhost() -> AsyncIterator[str]:
    """The URL of a vhost that is empty."""
    require()
    name = f"motet-test-{secrets.token_hex(6)}"
    await asyncio.to_thread(call, "PUT", f"/api/vhosts/{name}")
    try:
        yield f"{URL.rstrip('/')}/{name}"
    finally:
        await asyncio.to_thread(call, "DELETE", f"/api/vhosts/{name}")


def call(method: str, path: str, body: bytes = b"") -> bytes:
    """Call the management API."""
    import base64
    import urllib.request

    parts = urlsplit(MANAGEMENT)
    login = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    request = urllib.request.Request(
        f"http://{parts.hostname}:{parts.port}{path}",
        data=body or None,
        method=method,
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()
