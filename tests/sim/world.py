"""A simulated world: publishers, processes that die and come back, an operator, one database."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from motet.core.errors import TransientError
from motet.core.event import Event, Partition
from motet.core.ports import Status
from motet.stores.memory import MemoryLog, MemoryStore
from motet.testing import (
    FaultPlan,
    Faults,
    FaultyStore,
    FaultyTransport,
    SimClock,
    make_event,
    simulate,
    until,
)
from motet.transports.memory import MemoryTransport
from tests.sim.audit import AuditedStore, AuditedTransport, Ledgers
from tests.sim.invariants import Ending, check, event_id
from tests.sim.pipeline import READS, Fate, build
from tests.sim.scenario import PUBLISHERS, Scenario, draw

P = ParamSpec("P")

MAX_STEPS = 100_000
PATIENCE_S = 900.0  # simulated seconds in which a calm world has to come to rest
TOPICS = ("in", "mid", "out", "late", "copy")


class World:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario, clock: SimClock) -> None:
        self.scenario = scenario
        self.clock = clock
        self.log = MemoryLog(clock, partitions=scenario.partitions, repeats=scenario.broker)
        self.store = MemoryStore(self.log, shared=scenario.shared)
        self.transport = MemoryTransport(self.log)
        self.ledgers = Ledgers(clock)
        self.seen: Counter[str] = Counter()
        self._calm = False
        self._over = asyncio.Event()
        self._faults: list[Faults] = []

    async def run(self) -> Ending:
        """Let it all happen, then let it come to rest; return what is left."""
        names = range(self.scenario.processes)
        for topic in TOPICS:
            await self.transport.create_topic(topic, partitions=self.scenario.partitions)
        async with asyncio.TaskGroup() as tasks:
            for name in names:
                tasks.create_task(self._process(name), name=f"process {name}")
            async with asyncio.TaskGroup() as busy:
                for name in range(PUBLISHERS):
                    busy.create_task(self._publisher(name), name=f"publisher {name}")
                if self.scenario.redrives:
                    busy.create_task(self._operator(), name="operator")
            self._calm_down()
            await self._rest()
            if self.scenario.redrives:
                await self._redrive_all()
                await self._rest()
            self._over.set()
        return await self._ending()

    def _draw_faults(self, name: str, plan: FaultPlan) -> Faults:
        faults = Faults(
            plan,
            clock=self.clock,
            rng=random.Random(f"{name} {self.scenario.seed}"),
            expire=self.transport.expire,
        )
        faults.calm = self._calm
        faults.seen = self.seen
        self._faults.append(faults)
        return faults

    def _calm_down(self) -> None:
        self._calm = True
        for faults in self._faults:
            faults.calm = True

    async def _process(self, name: int) -> None:
        """One life after the other, until all is over."""
        lives = 0
        while not self._over.is_set():
            lives += 1
            faults = self._draw_faults(f"process {name} life {lives}", self.scenario.faults)
            async with asyncio.TaskGroup() as tasks:
                life = tasks.create_task(self._life(faults), name=f"process {name} life {lives}")
                faults.attach(life)
            if faults.dead:
                await self.clock.sleep(self.scenario.lease_ttl_s)
                await faults.bury()
            elif life.cancelled():
                raise AssertionError(f"process {name} ended by itself")

    async def _life(self, faults: Faults) -> None:
        scenario = self.scenario
        app = build(scenario, Fate(scenario, self.ledgers), self.clock)
        transport = FaultyTransport(AuditedTransport(self.transport, self.ledgers), faults)
        store = FaultyStore(AuditedStore(self.store, self.ledgers), faults)
        try:
            async with app.run(transport, store, clock=self.clock, settings=scenario.settings):
                await self._live()
        except* TransientError as outage:
            raise AssertionError(f"an outage ended the app: {outage.exceptions}") from outage

    async def _live(self) -> None:
        restless = self.scenario.restless and not self._calm
        try:
            async with asyncio.timeout(10 * self.clock.random() if restless else None):
                await self._over.wait()
        except TimeoutError:
            pass

    async def _publisher(self, name: int) -> None:
        """Publish its keys in order, again and again until it is known to be in the log."""
        plan, rng = self.scenario.faults, random.Random(f"publisher {name} {self.scenario.seed}")
        faults = self._draw_faults(f"publisher {name}", _without_crash(plan))
        transport = FaultyTransport(self.transport, faults)
        mine = [event for event in self._events() if int(event.key[1:]) % PUBLISHERS == name]
        published: list[Event] = []
        while mine:
            size = 1 if self.scenario.trickle else rng.randint(1, 5)
            batch, mine = mine[:size], mine[size:]
            await self._insist(transport.publish, "in", batch)
            published += batch
            if rng.random() < 0.2:
                again = rng.sample(published, k=min(3, len(published)))
                await self._insist(transport.publish, "in", again)
            if self.scenario.trickle or rng.random() < 0.5:
                await self.clock.sleep(rng.random())
        for n in range(self.scenario.broken if name == 0 else 0):
            index = rng.randrange(self.scenario.partitions)
            self.log.append_broken(Partition("in", index), b"\xff%d" % n, error="byte 0: not JSON")

    def _events(self) -> list[Event]:
        rng = random.Random(f"events {self.scenario.seed}")
        events: list[Event] = []
        for n in range(self.scenario.events):
            data = {"n": n if rng.random() >= self.scenario.undecodable else "no number"}
            key = f"k{rng.randrange(self.scenario.keys)}"
            events.append(make_event(n, key=key, type="n", data=data))
        return events

    async def _operator(self) -> None:
        """Mend and give back, or close, what is among the dead letters."""
        rng = random.Random(f"operator {self.scenario.seed}")
        faults = self._draw_faults("operator", _without_crash(self.scenario.faults))
        letters = FaultyStore(self.store, faults).dead_letters
        for _ in range(5):
            await self.clock.sleep(5 * rng.random())
            new = await self.store.dead_letters.list(status=Status.NEW)
            picked = [row.id for row in new if rng.random() < 0.5]
            now_us = self.clock.now_us()
            if rng.random() < 0.3:
                await self._insist(letters.archive, picked, by="op", notes="", now_us=now_us)
            else:
                await self._mend(picked)
                await self._insist(letters.redrive, picked, by="op", now_us=now_us)

    async def _redrive_all(self) -> None:
        ids = [row.id for row in await self.store.dead_letters.list(limit=10_000)]
        await self._mend(ids)
        await self.store.dead_letters.redrive(ids, by="op", now_us=self.clock.now_us())

    async def _mend(self, ids: list[int]) -> None:
        for row in await self.store.dead_letters.get(ids):
            if row.letter.event_type:
                self.ledgers.mended_events.add((row.letter.group, event_id(row.letter.value)))

    async def _insist(
        self, call: Callable[P, Awaitable[object]], *args: P.args, **options: P.kwargs
    ) -> None:
        while True:
            try:
                await call(*args, **options)
            except TransientError:
                await self.clock.sleep(0.2)
            else:
                return

    async def _rest(self) -> None:
        try:
            await until(self._at_rest, self.clock, timeout_s=PATIENCE_S, every_s=0.5)
        except TimeoutError:
            raise AssertionError(f"it does not come to rest: {await self._unrest()}") from None

    async def _at_rest(self) -> bool:
        return not await self._unrest()

    async def _unrest(self) -> list[str]:
        ends = {info.name: info.ends for info in await self.transport.topics()}
        found: list[str] = []
        for group, topics in READS.items():
            for topic in topics:
                for index, end in enumerate(ends[topic]):
                    progress = await self.store.progress(group, Partition(topic, index))
                    if progress.next != end or progress.parked_keys:
                        keys = sorted(progress.parked_keys)
                        found.append(f"{group} {topic}/{index}: {progress.next}/{end} {keys}")
        if await self.store.outbox.next_due_us() is not None:
            found.append("the outbox is not empty")
        return found

    async def _ending(self) -> Ending:
        letters = await self.store.dead_letters.list(limit=100_000)
        log = {
            topic: [
                self.log.read(partition, offset=0, limit=100_000)
                for partition in self.log.partitions(topic)
            ]
            for topic in TOPICS
        }
        return Ending(
            scenario=self.scenario,
            events=self._events(),
            log=log,
            store=self.store,
            letters=letters,
            violations=self.ledgers.violations,
            tries=self.ledgers.tries,
            seen=self.seen,
        )


class Failed(AssertionError):
    """A seed failed; `reason` is the first error of the run."""

    def __init__(self, seed: int, reason: BaseException) -> None:
        super().__init__(
            f"seed {seed} fails: {type(reason).__name__}: {reason}\n"
            f"Run it again with: python -m tests.sim {seed}\n"
            f"Once it is understood, add it to tests/sim/regressions.txt."
        )
        self.reason = reason


def run_seed(seed: int) -> Ending:
    """Run one seed to its end and check what must hold.

    Raises:
        Failed: something does not hold; the message says what, and how to run it again.
    """

    async def program(clock: SimClock) -> Ending:
        ending = await World(draw(seed), clock).run()
        await check(ending)
        return ending

    try:
        return simulate(program, seed=seed, max_steps=MAX_STEPS)
    except KeyboardInterrupt:
        raise
    except BaseException as err:
        reason = err
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[0]
        raise Failed(seed, reason) from err


def _without_crash(plan: FaultPlan) -> FaultPlan:
    return FaultPlan(
        delay=plan.delay,
        max_delay_s=plan.max_delay_s,
        slow=plan.slow,
        unavailable=plan.unavailable,
        unknown=plan.unknown,
        duplicate=plan.duplicate,
    )
