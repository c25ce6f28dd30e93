"""A network between an application and its broker: cut, dead, half closed, slow, corrupt."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from motet.testing import Direction, FaultProxy
from motet.testing.simulation import until
from tests.integration.faults.brokers import BROKERS, NAMES
from tests.integration.faults.running import CLOCK, Counting, at_work
from tests.integration.faults.tls import TlsRedis
from tests.services import own

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CUTS = 5


@pytest.mark.parametrize("name", NAMES)
async def test_whatever_the_network_does_costs_time_and_nothing_else(
    name: str, tmp_path: Path
) -> None:
    async with through_a_proxy(name, tmp_path) as (proxy, counting):
        for fault in (cuts, dead, deaf, half_closed, half_closed_by_us, slow):
            try:
                await fault(proxy, counting)
                proxy.heal()
                await counting.moved_on()
                await counting.well()
            except Exception as err:
                err.add_note(f"when the network was {fault.__name__}")
                raise


async def test_bytes_that_arrive_as_others_cost_time_and_nothing_else(tmp_path: Path) -> None:
    """With TLS, which alone tells: without it, what still looks like the protocol is believed."""
    async with through_a_proxy("redis", tmp_path, secure=True) as (proxy, counting):
        await corrupt(proxy, counting)
        proxy.heal()
        await counting.moved_on()
        await counting.well()


@asynccontextmanager
async def through_a_proxy(
    name: str, folder: Path, *, secure: bool = False
) -> AsyncIterator[tuple[FaultProxy, Counting]]:
    """The application at work on a broker of its own, through a proxy."""
    broker = BROKERS[name]
    with own(TlsRedis if secure else broker.kind) as server:
        behind, port = broker.ports(server)
        if isinstance(server, TlsRedis):
            behind = server.behind
        async with FaultProxy("127.0.0.1", behind, listen_port=port) as proxy:
            if isinstance(server, TlsRedis):
                url = server.secure(proxy.address, broker.options)
            else:
                url = broker.url(server, proxy.address)
            async with at_work(url, folder) as counting:
                assert proxy.connections
                yield proxy, counting


Fault = Callable[[FaultProxy, Counting], Awaitable[None]]


async def cuts(proxy: FaultProxy, counting: Counting) -> None:
    """Every connection is reset, again and again."""
    for _ in range(CUTS):
        proxy.cut()
        await counting.moved_on(10)


async def dead(proxy: FaultProxy, counting: Counting) -> None:
    """Connected, and nothing comes or goes; then all of it arrives late."""
    proxy.stall()
    await counting.says_so()


async def deaf(proxy: FaultProxy, counting: Counting) -> None:
    """What is sent arrives, and no answer comes until all do."""
    proxy.stall(Direction.TO_CLIENT)
    await counting.says_so()


async def half_closed(proxy: FaultProxy, counting: Counting) -> None:
    """The client sees the end of what the broker sends, and the broker does not know."""
    proxy.half_close(Direction.TO_CLIENT)
    await counting.moved_on()


async def half_closed_by_us(proxy: FaultProxy, counting: Counting) -> None:
    """The broker sees the end of what the client sends, and the client does not know."""
    proxy.half_close(Direction.TO_SERVER)
    await counting.moved_on()


async def slow(proxy: FaultProxy, counting: Counting) -> None:
    """Everything takes a tenth of a second longer, and no more than some kilobytes go through."""
    proxy.slow(delay_s=0.1, bytes_per_s=200_000)
    await counting.moved_on(within_s=30.0)


async def corrupt(proxy: FaultProxy, counting: Counting) -> None:
    """Now and then a byte arrives as another one, either way, for a few connections."""
    before = proxy.passed_bytes()
    proxy.corrupt(every=5_000, seed=7)
    await until(lambda: proxy.passed_bytes() > before + 100_000, CLOCK)
