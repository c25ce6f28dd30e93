"""The HTTP side over the memory backend, in this event loop, without sockets."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack

import httpx2
import msgspec
import pytest

from motet.backends import connect
from motet.core.errors import MotetError
from motet.core.event import Event, Partition
from motet.core.ports import Store, Transport
from motet.server import Check, Limits, Services, api
from motet.telemetry import Metrics, Readers


class Held:
    """A transport whose appends wait until `go` is set, and fail with `error` if there is one."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.go = asyncio.Event()
        self.go.set()
        self.error: MotetError | None = None
        self.waiting = 0

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        self.waiting += 1
        await self.go.wait()
        self.waiting -= 1
        if self.error is not None:
            raise self.error
        return await self._inner.publish(topic, events)

    async def topics(self) -> object:
        if self.error is not None:
            raise self.error
        return await self._inner.topics()

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


class Site:
    """One server under test: a client, and what is behind it."""

    def __init__(self, client: httpx2.AsyncClient, transport: Held, store: Store, metrics: Metrics):
        self.client = client
        self.transport = transport
        self.store = store
        self.metrics = metrics

    async def post(
        self,
        body: object,
        path: str = "/v1/events",
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Post a body; what is not bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        sent = {"content-type": content_type, **(headers or {})}
        return await self.client.post(path, content=content, headers=sent)

    async def logged(self, topic: str = "events") -> list[Event]:
        """Return every event of a topic, partition by partition."""
        found: list[Event] = []
        for info in await self.transport._inner.topics():
            if info.name == topic:
                for index in range(info.partitions):
                    batch = await self.transport._inner.read(
                        Partition(topic, index), offset=0, limit=1_000_000
                    )
                    found += [record.event for record in batch.records]
        return found


@pytest.fixture
async def make() -> AsyncIterator[object]:
    """Return a function that makes a site with other limits, readers or checks."""
    async with AsyncExitStack() as stack:

        async def _make(
            *,
            limits: Limits | None = None,
            readers: Readers | None = None,
            checks: Mapping[str, Check] | None = None,
        ) -> Site:
            backends = await stack.enter_async_context(connect("memory://"))
            held, metrics = Held(backends.transport), Metrics()
            app = api(
                Services(
                    transport=held,
                    store=backends.store,
                    metrics=metrics,
                    readers=readers or {},
                    checks=checks or {},
                    limits=limits or Limits(),
                )
            )
            client = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=app, raise_app_exceptions=False),
                base_url="http://motet",
            )
            await stack.enter_async_context(client)
            return Site(client, held, backends.store, metrics)

        yield _make


@pytest.fixture
async def site(make) -> Site:
    return await make()
