"""A network between an application and its broker: cut, dead, half closed, slow, corrupt.

With TLS, which alone tells that a byte is not what was sent: without it a broker takes, and a
client believes, whatever still looks like its protocol.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from motet.testing import Direction, FaultProxy
from motet.testing.simulation import until
from tests.integration.faults.brokers import BROKERS, NAMES
from tests.integration.faults.running import CLOCK, Counting, at_work
from tests.integration.faults.tls import SECURE, ports, secure_url
from tests.services import own

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CUTS = 3


@pytest.mark.parametrize("name", NAMES)
async def test_whatever_the_network_does_costs_time_and_nothing_else(
    name: str, tmp_path: Path
) -> None:
    async with through_a_proxy(name, tmp_path) as (proxy, counting):
        for fault in (cuts, dead, deaf, half_closed, half_closed_by_us, slow, corrupt):
            try:
                await fault(proxy, counting)
                proxy.heal()
                await counting.moved_on()
                await counting.well()
            except Exception as err:
                err.add_note(f"when the network was {fault.__name__}")
                raise


@asynccontextmanager
async def through_a_proxy(name: str, folder: Path) -> AsyncIterator[tuple[FaultProxy, Counting]]:
    """The application at work on a broker of its own, through a proxy."""
    with own(SECURE[name]) as server:
        behind, port = ports(server)
        async with (
            FaultProxy("127.0.0.1", behind, listen_port=port) as proxy,
            at_work(secure_url(server, proxy.address, BROKERS[name].options), folder) as counting,
        ):
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
