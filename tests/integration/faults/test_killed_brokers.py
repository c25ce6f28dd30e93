"""A broker that is killed with SIGKILL under load, and comes back."""

import asyncio
from pathlib import Path

import pytest

from motet.core.event import Partition
from motet.testing.simulation import until
from motet.transports.rabbitmq.names import Names
from scripts.services import RabbitMQ, Service
from tests.integration.faults.brokers import BROKERS, NAMES
from tests.integration.faults.counting import GROUPS, TOPICS
from tests.integration.faults.running import CLOCK, Counting, at_work
from tests.services import own

pytestmark = [pytest.mark.kill, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.open) if name == "rabbitmq" else name for name in NAMES],
)
async def test_a_broker_killed_under_load_costs_time_and_nothing_else(
    name: str, tmp_path: Path
) -> None:
    broker = BROKERS[name]
    with own(broker.kind) as server:
        async with at_work(broker.url(server), tmp_path) as counting:
            await known(server)
            await killed(server, counting)
            await counting.moved_on()
            await counting.well()


async def killed(server: Service, counting: Counting) -> None:
    """Kill a broker, let every group say so, longer than their sessions are, start it again."""
    await asyncio.to_thread(server.kill)
    await counting.says_so()
    await counting.without_leases()
    await asyncio.to_thread(server.start)


async def known(server: Service) -> None:
    """Wait until a broker would have all of its queues after a kill: see `RabbitMQ.knows`."""
    if not isinstance(server, RabbitMQ):
        return
    names = Names(prefix="")
    for group, topic in zip(GROUPS, TOPICS, strict=True):
        for n in range(3):
            queue = names.lease(group, Partition(topic, n))
            await until(lambda queue=queue: server.knows(queue), CLOCK)
