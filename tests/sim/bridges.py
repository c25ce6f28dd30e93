"""A simulated world of bridges: two logs with a bridge each way, or three in a ring.

Processes die and come back, leases are lost, targets refuse some events, some logs keep an id
more than once. What must hold at the end: every event is on every log, once where the log keeps
ids once; events of one key came in order; none came back to where it began; and all came to rest.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from motet.bridges import Copying, Counts, Picker, Via, copying
from motet.core.errors import CodecError, TransientError
from motet.core.event import Batch, Event, Partition
from motet.core.ports import Advance, Guarantee, Progress
from motet.runtime import Settings
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

TOPIC = "t"
MAX_STEPS = 200_000
PATIENCE_S = 900.0
REFUSED = "refused"  # type of the events that no target takes, until it is mended


class Scenario(msgspec.Struct, frozen=True):
    """What a seed decides."""

    seed: int
    places: tuple[str, ...]  # each has a bridge to the next, the last to the first
    forgetful: tuple[bool, ...]  # by place: an id may be there more than once
    keepers: tuple[bool, ...]  # by place: it keeps progress itself
    partitions: int
    keys: int
    events: int  # published on each place
    refused: float  # share of them
    broken: int  # pieces of the first log that are no events
    processes: int  # of each bridge
    faults: FaultPlan
    settings: Settings
    lease_ttl_s: float
    restless: bool  # processes are stopped and started all the time


def draw(seed: int) -> Scenario:
    """Return the scenario of a seed."""
    rng = random.Random(f"bridges {seed}")
    places = rng.choice((("a", "b"), ("a", "b", "c")))
    return Scenario(
        seed=seed,
        places=places,
        forgetful=tuple(rng.random() < 0.5 for _ in places),
        keepers=tuple(rng.random() < 0.5 for _ in places),
        partitions=rng.randint(1, 3),
        keys=rng.choice((1, 2, 5)),
        events=rng.randint(5, 25),
        refused=rng.choice((0.0, 0.0, 0.1)),
        broken=rng.choice((0, 0, 2)),
        processes=rng.randint(1, 2),
        faults=FaultPlan.draw(rng),
        settings=Settings(
            max_records=rng.choice((1, 2, 5, 1000)),
            poll_s=rng.choice((0.3, 1.0)),
            drain_s=rng.choice((0.0, 5.0)),
        ),
        lease_ttl_s=rng.uniform(0.0, 10.0),
        restless=rng.random() < 0.4,
    )


class ForgetfulLog(MemoryLog):
    """A log that takes an id again, as most brokers do."""

    def append(self, topic: str, events: Sequence[Event]) -> int:
        """Append all of them."""
        self._topic(topic).ids.clear()
        return sum(super(ForgetfulLog, self).append(topic, [event]) for event in events)


class Place:
    """One log, what was published there at first, and the bridge that leads away from it."""

    def __init__(self, name: str, scenario: Scenario, clock: SimClock) -> None:
        at = scenario.places.index(name)
        self.name = name
        self.forgetful = scenario.forgetful[at]
        self.keeps = scenario.keepers[at]
        kind = ForgetfulLog if self.forgetful else MemoryLog
        self.log = kind(clock, partitions=scenario.partitions)
        self.transport = MemoryTransport(self.log)
        self.store = MemoryStore(MemoryLog(clock), shared=False)  # of the bridge
        self.origin = _events(scenario, at)
        self.mended = False

    def came_back(self, events: Sequence[Event]) -> None:
        """Complain about copies of what began here."""
        mine = {event.id for event in self.origin}
        if back := [event.id for event in events if event.id in mine]:
            raise AssertionError(f"{back[0]} came back to {self.name}")

    def batches(self) -> list[Batch]:
        """Return all that is there."""
        return [
            self.log.read(partition, offset=0, limit=100_000)
            for partition in self.log.partitions(TOPIC)
        ]

    def unrest(self, progress: Progress, index: int) -> str:
        """Say what is left to be copied from a partition; empty if nothing is."""
        end = self.log.read(Partition(TOPIC, index), offset=0, limit=100_000).end
        if progress.next == end and not progress.parked_keys:
            return ""
        return f"{self.name}/{index}: {progress.next}/{end} {sorted(progress.parked_keys)}"


class Keeper(FaultyTransport):
    """A faulty transport that keeps progress; conforms to `ports.ProgressKeeper`."""

    def __init__(self, transport: MemoryTransport, faults: Faults) -> None:
        super().__init__(transport, faults)
        self._memory, self._chance = transport, faults

    @property
    def guarantees(self) -> Guarantee:
        """Those of a log that is in no store."""
        return self._memory.guarantees & ~Guarantee.SHARED_TX

    async def advanced(self, group: str, partition: Partition) -> Progress:
        """Where the group is."""
        return await self._chance.call("progress", lambda: self._memory.advanced(group, partition))

    async def advance(self, step: Advance) -> None:
        """Note progress; nothing is emitted to where it is read."""
        assert not step.emits
        await self._chance.call("commit", lambda: self._memory.advance(step))

    async def send(self, topic: str, messages: object) -> None:
        """Not used."""
        raise NotImplementedError


class Picky:
    """A target that refuses some, and to which nothing comes back."""

    def __init__(self, place: Place, faults: Faults) -> None:
        self._place = place
        self._inner = FaultyTransport(place.transport, faults)

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Publish all or refuse all."""
        self._place.came_back(events)
        if not self._place.mended and any(event.type == REFUSED for event in events):
            raise CodecError("not here")
        return await self._inner.publish(topic, events)


class World:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario, clock: SimClock) -> None:
        self.scenario = scenario
        self.clock = clock
        self.places = [Place(name, scenario, clock) for name in scenario.places]
        self._calm = False
        self._over = asyncio.Event()
        self._faults: list[Faults] = []

    async def run(self) -> None:
        """Let it all happen, let it come to rest, and look at what is left."""
        for place in self.places:
            await place.transport.create_topic(TOPIC, partitions=self.scenario.partitions)
        async with asyncio.TaskGroup() as tasks:
            for at, here in enumerate(self.places):
                there = self.places[(at + 1) % len(self.places)]
                for name in range(self.scenario.processes):
                    label = f"{here.name}-{there.name} {name}"
                    tasks.create_task(self._process(label, here, there), name=label)
            async with asyncio.TaskGroup() as busy:
                for place in self.places:
                    busy.create_task(self._publisher(place), name=f"publisher {place.name}")
            self._calm = True
            for faults in self._faults:
                faults.calm = True
            await self._rest()
            await self._check_letters()
            await self._redrive()
            self._over.set()
        for place in self.places:
            self._check_events(place)

    def _draw_faults(self, name: str, plan: FaultPlan, place: Place) -> Faults:
        rng = random.Random(f"{name} {self.scenario.seed}")
        faults = Faults(plan, clock=self.clock, rng=rng, expire=place.transport.expire)
        faults.calm = self._calm
        self._faults.append(faults)
        return faults

    async def _process(self, label: str, here: Place, there: Place) -> None:
        """One life after the other, until all is over."""
        lives = 0
        while not self._over.is_set():
            lives += 1
            faults = self._draw_faults(f"{label} life {lives}", self.scenario.faults, here)
            async with asyncio.TaskGroup() as tasks:
                life = tasks.create_task(self._life(faults, here, there), name=label)
                faults.attach(life)
            if faults.dead:
                await self.clock.sleep(self.scenario.lease_ttl_s)
                await faults.bury()
            elif life.cancelled():
                raise AssertionError(f"{label} ended by itself")

    async def _life(self, faults: Faults, here: Place, there: Place) -> None:
        restless = self.scenario.restless and not self._calm
        async with self._bridge(faults, here, there):
            try:
                async with asyncio.timeout(10 * self.clock.random() if restless else None):
                    await self._over.wait()
            except TimeoutError:
                pass

    @asynccontextmanager
    async def _bridge(self, faults: Faults, here: Place, there: Place) -> AsyncIterator[None]:
        picker = Picker(Via(here.name, there.name), Counts())
        kind = Keeper if here.keeps else FaultyTransport
        async with copying(
            Copying("bridge", [TOPIC], picker),
            kind(here.transport, faults),
            Picky(there, faults),
            FaultyStore(here.store, faults),
            counts=picker.counts,
            clock=self.clock,
            settings=self.scenario.settings,
        ):
            yield

    async def _publisher(self, place: Place) -> None:
        rng = random.Random(f"publisher {place.name} {self.scenario.seed}")
        mine = list(place.origin)
        while mine:
            size = rng.randint(1, 5)
            batch, mine = mine[:size], mine[size:]
            await place.transport.publish(TOPIC, batch)
            await self.clock.sleep(rng.random())
        for n in range(self.scenario.broken if place is self.places[0] else 0):
            partition = Partition(TOPIC, rng.randrange(self.scenario.partitions))
            place.log.append_broken(partition, b"\xff%d" % n, error="byte 0: not JSON")

    async def _rest(self) -> None:
        try:
            await until(self._at_rest, self.clock, timeout_s=PATIENCE_S, every_s=0.5)
        except TimeoutError:
            raise AssertionError(f"it does not come to rest: {await self._unrest()}") from None

    async def _at_rest(self) -> bool:
        return not await self._unrest()

    async def _unrest(self) -> list[str]:
        found = []
        for place in self.places:
            for index in range(self.scenario.partitions):
                partition = Partition(TOPIC, index)
                progress = await place.store.progress("bridge", partition)
                if place.keeps:
                    kept = await place.transport.advanced("bridge", partition)
                    progress = msgspec.structs.replace(progress, next=max(progress.next, kept.next))
                found.append(place.unrest(progress, index))
        return [text for text in found if text]

    async def _check_letters(self) -> None:
        """What is refused, or no event, is a dead letter where it was read."""
        for at, place in enumerate(self.places):
            letters = [row.letter for row in await place.store.dead_letters.list(limit=10_000)]
            dead = {(letter.partition, letter.offset) for letter in letters}
            there = {
                (batch.partition.index, each.offset)
                for batch in place.batches()
                for each in (*batch.broken, *(r for r in batch.records if r.event.type == REFUSED))
            }
            assert dead == there, f"dead letters at {place.name}: {dead}, not {there}"
            broken = [letter.value for letter in letters if not letter.event_type]
            assert len(broken) >= (self.scenario.broken if at == 0 else 0)

    async def _redrive(self) -> None:
        """Mend the targets and give back what they refused, place after place."""
        for _ in self.places:
            for place in self.places:
                place.mended = True
                rows = await place.store.dead_letters.list(limit=10_000)
                await self._insist(
                    lambda place=place, rows=rows: place.store.dead_letters.redrive(
                        [row.id for row in rows], by="op", now_us=self.clock.now_us()
                    )
                )
            await self._rest()

    async def _insist(self, call: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await call()
            except TransientError:
                await self.clock.sleep(0.2)
            else:
                return

    def _check_events(self, place: Place) -> None:
        ids = [record.event.id for batch in place.batches() for record in batch.records]
        if not place.forgetful:
            assert len(ids) == len(set(ids)), f"an id is twice on {place.name}"
        first: dict[str, None] = dict.fromkeys(ids)
        for other in self.places:
            lost = [event.id for event in other.origin if event.id not in first]
            assert not lost, f"{lost[0]} of {other.name} is not on {place.name}"
            for key in sorted({event.key for event in other.origin}):
                order = [e.id for e in other.origin if e.key == key and e.type != REFUSED]
                wanted = set(order)
                came = [id for id in first if id in wanted]
                assert came == order, f"{key!r} of {other.name} is out of order on {place.name}"


def _events(scenario: Scenario, at: int) -> list[Event]:
    rng = random.Random(f"events {at} {scenario.seed}")
    return [
        make_event(
            1000 * at + n,
            key=f"k{rng.randrange(scenario.keys)}",
            type=REFUSED if rng.random() < scenario.refused else "n",
            data={"n": n},
        )
        for n in range(scenario.events)
    ]


class Failed(AssertionError):
    """A seed failed; `reason` is the first error of the run."""

    def __init__(self, seed: int, reason: BaseException) -> None:
        super().__init__(f"seed {seed} fails: {type(reason).__name__}: {reason}")
        self.reason = reason


def run_seed(seed: int) -> None:
    """Run one seed to its end and check what must hold.

    Raises:
        Failed: something does not hold.
    """

    async def program(clock: SimClock) -> None:
        await World(draw(seed), clock).run()

    try:
        simulate(program, seed=seed, max_steps=MAX_STEPS)
    except KeyboardInterrupt:
        raise
    except BaseException as err:
        reason = err
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[0]
        raise Failed(seed, reason) from err
