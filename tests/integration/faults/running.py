"""The application at work on a broker, with a publisher that never gives up; and the checks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from motet import connect
from motet.core.clock import SystemClock
from motet.core.errors import Unavailable
from motet.core.event import Partition
from motet.core.ports import ProgressKeeper, Store, Transport
from motet.runtime import Running
from motet.testing.contracts.consuming import background
from motet.testing.simulation import until
from tests.integration.faults.counting import GROUPS, STORED, TOPICS, app, numbered

CLOCK = SystemClock()
KEYS = 7
PARTITIONS = 3
BACK_S = 15.0
"""How long after the end of a fault every group consumes again, at most."""
SAID_S = 15.0
"""How long after the beginning of a fault every group says so, at most."""
_BURST = 5  # events published at once
_PAUSE_S = 0.01


class Counting:
    """What was acknowledged to the publisher, and what the groups made of it."""

    def __init__(self, transport: Transport, store: Store) -> None:
        self.transport = transport
        self.store = store
        self.running: Running | None = None
        self.acknowledged = 0  # every number below

    async def publish(self) -> None:
        """Publish for ever: what has no answer is published again, under the same ids."""
        while True:
            first = self.acknowledged
            burst = [numbered(first + n, keys=KEYS) for n in range(_BURST)]
            while True:
                try:
                    await self.transport.publish("in", burst)
                except Unavailable:
                    await CLOCK.sleep(_PAUSE_S)
                else:
                    break
            self.acknowledged += _BURST
            await CLOCK.sleep(_PAUSE_S)

    async def counted(self, group: str) -> list[list[int]]:
        """What a group has in its state, key by key."""
        keys = [f"k{n}" for n in range(KEYS)]
        found = await self.store.state(group).get_many(keys)
        return [
            msgspec.json.decode(found[key].value, type=list[int]) if key in found else []
            for key in keys
        ]

    async def reached(self, number: int) -> bool:
        """Whether each group has every number below."""
        for group in STORED:
            have = {n for numbers in await self.counted(group) for n in numbers}
            if not have.issuperset(range(number)):
                return False
        return True

    async def caught_up(self, *, within_s: float = BACK_S) -> None:
        """Wait until each group has what is acknowledged by now."""
        goal = self.acknowledged
        try:
            await until(lambda: self.reached(goal), CLOCK, timeout_s=within_s, every_s=0.05)
        except TimeoutError:
            raise AssertionError(await self._standing(goal)) from None

    async def moved_on(self, events: int = 50, *, within_s: float = BACK_S) -> None:
        """Wait until the publisher is further by some events, and each group has them."""
        goal = self.acknowledged + events
        await until(lambda: self.acknowledged >= goal, CLOCK, timeout_s=within_s)
        await self.caught_up(within_s=within_s)

    async def says_so(self) -> None:
        """Wait until every group says that it does not consume."""
        await until(lambda: self.troubled() == set(GROUPS), CLOCK, timeout_s=SAID_S)

    async def without_leases(self) -> None:
        """Wait until groups have lost their leases, and say so nevertheless.

        Not `copy`: it asks the broker where it is before it looks whether it still has a lease.
        """
        assert self.running is not None
        workers = [each for each in self.running.workers if each.group in STORED]
        await until(
            lambda: not any(each.leases for each in workers) and self.troubled() == set(GROUPS),
            CLOCK,
            timeout_s=SAID_S,
        )

    async def well(self, *, within_s: float = BACK_S) -> None:
        """Wait until nothing is the matter."""
        assert self.running is not None
        running = self.running
        await until(lambda: not running.problems(), CLOCK, timeout_s=within_s)

    def troubled(self) -> set[str]:
        """The groups that say they do not consume."""
        assert self.running is not None
        return {each.group for each in self.running.workers if each.problems}

    async def standing(self) -> dict[tuple[str, Partition], int]:
        """Where each group is in each partition, as it would go on from there."""
        found = {(each.group, each.partition): each.next for each in await self.store.groups()}
        assert isinstance(self.transport, ProgressKeeper)
        for index in range(PARTITIONS):
            place = Partition("mid", index)
            found["copy", place] = (await self.transport.advanced("copy", place)).next
        return found

    async def settled(self) -> None:
        """Wait until all is read, repeats too, then check."""
        if self.running is not None:
            async with asyncio.timeout(BACK_S):
                await self.running.until_idle()
        else:
            await self.caught_up()
        await self.check()

    async def _standing(self, goal: int) -> str:
        have = {group: sum(map(len, await self.counted(group))) for group in STORED}
        problems = self.running.problems() if self.running else []
        return f"no group is to be behind {goal}: {have}, problems: {problems}"

    async def check(self) -> None:
        """Nothing lost, nothing twice, in order per key: in the state of both groups."""
        for group in STORED:
            for key, numbers in enumerate(await self.counted(group)):
                lost = set(range(key, self.acknowledged, KEYS)) - set(numbers)
                twice = len(numbers) - len(set(numbers))
                assert not lost, f"{group}: lost of k{key}: {sorted(lost)}"
                assert not twice, f"{group}: handled twice of k{key}: {numbers}"
                assert numbers == sorted(numbers), f"{group}: k{key} out of order: {numbers}"
        assert not await self.store.dead_letters.list()


@asynccontextmanager
async def connected(url: str, folder: Path) -> AsyncIterator[Counting]:
    """Topics made, and nothing at work yet; leave the block and all is as it was."""
    async with connect(url, store=f"sqlite:///{folder}/state.db") as backends:
        for topic in TOPICS:
            await backends.transport.create_topic(topic, partitions=PARTITIONS)
        yield Counting(backends.transport, backends.store)


@asynccontextmanager
async def application(counting: Counting) -> AsyncIterator[None]:
    """All groups, in this process."""
    async with app.run(counting.transport, counting.store) as counting.running:
        yield


@asynccontextmanager
async def at_work(url: str, folder: Path) -> AsyncIterator[Counting]:
    """The whole application in this process, and the publisher; all of it moves."""
    async with connected(url, folder) as counting, application(counting):
        async with background(counting.publish()):
            await counting.moved_on(within_s=60.0)
            yield counting
        await counting.settled()
