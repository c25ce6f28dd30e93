"""A simulated broker beside a store, and a group that keeps its progress in the broker.

```
 in ─▶ enrich (delivery transport, fails now and then) ─▶ rich ─▶ fold (delivery store)
```

`enrich` parks what fails, or sends it through retry topics. Processes die and come back, leases
are lost, the broker and the store fail. What must hold at the end: every input is in the state of
`fold` exactly once, or is a dead letter of `enrich`; with parking, events of one key are in order
but for the dead ones; the store's copy of progress is the broker's; and all came to rest.
"""

import asyncio
import random
from collections import Counter

import msgspec

from motet import App, Context, Draft, Event, HandlerError, RetryPolicy, Settings, State, emit
from motet.core.event import Partition
from motet.handlers import OnFailure
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
from tests.sim.scenario import chance

MAX_STEPS = 200_000
PATIENCE_S = 900.0
READS = {"enrich": "in", "fold": "rich"}


class Scenario(msgspec.Struct, frozen=True):
    """What a seed decides."""

    seed: int
    partitions: int
    keys: int
    events: int
    processes: int
    on_failure: OnFailure
    lanes: bool
    failing: float  # share of the input that fails at first
    fatal: float  # share that fails for good
    faults: FaultPlan
    retry: RetryPolicy
    settings: Settings
    lease_ttl_s: float
    restless: bool


def draw(seed: int) -> Scenario:
    """Return the scenario of a seed."""
    rng = random.Random(f"delivery {seed}")
    return Scenario(
        seed=seed,
        partitions=rng.randint(1, 3),
        keys=rng.choice((1, 2, 5)),
        events=rng.randint(5, 30),
        processes=rng.randint(1, 3),
        on_failure=rng.choice(("park", "park", "topic")),
        lanes=rng.random() < 0.5,
        failing=rng.choice((0.0, 0.2, 0.5)),
        fatal=rng.choice((0.0, 0.1)),
        faults=FaultPlan.draw(rng),
        retry=RetryPolicy(tries=rng.randint(2, 4), base_s=rng.choice((0.0, 1.0)), jitter_s=0.5),
        settings=Settings(
            max_records=rng.choice((1, 2, 5, 1000)),
            poll_s=rng.choice((0.3, 1.0)),
            drain_s=rng.choice((0.0, 5.0)),
        ),
        lease_ttl_s=rng.uniform(0.0, 10.0),
        restless=rng.random() < 0.4,
    )


class Handled(msgspec.Struct):
    """The state of `fold`: causes of what it handled, in order."""

    causes: list[str] = []


def build(scenario: Scenario, clock: SimClock) -> App:
    """Return a fresh app, as each process has one."""
    app = App("sim")

    def enrich(event: Event, context: Context) -> Draft:
        fail(scenario, event, context.attempt)
        return emit("rich", {}, type="rich")

    async def enrich_async(event: Event, context: Context) -> Draft:
        await clock.sleep(chance("wait", event.id, context.attempt) / 10)
        return enrich(event, context)

    app.on(
        "in",
        group="enrich",
        name="enrich",
        delivery="transport",
        on_failure=scenario.on_failure,
        retry=scenario.retry,
    )(enrich_async if scenario.lanes else enrich)

    @app.on("rich", group="fold")
    def fold(event: Event, state: State) -> None:
        handled = state.get(Handled) or Handled()
        handled.causes.append(event.causation_id)
        state.put(handled)

    return app


def fail(scenario: Scenario, event: Event, attempt: int) -> None:
    """Raise if this try is to fail."""
    draw = chance(scenario.seed, "enrich", event.id)
    if draw < scenario.fatal:
        raise HandlerError("beyond help", retryable=draw < scenario.fatal / 2)
    if draw < scenario.fatal + scenario.failing:
        tries = 1 + int(chance("tries", draw) * (scenario.retry.tries - 1))
        if attempt <= tries:
            raise ValueError("not yet")


class World:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario, clock: SimClock) -> None:
        self.scenario = scenario
        self.clock = clock
        self.log = MemoryLog(clock, partitions=scenario.partitions, repeats=True)
        self.transport = MemoryTransport(self.log)
        self.store = MemoryStore(self.log, shared=False)
        rng = random.Random(f"events {scenario.seed}")
        self.events = [
            make_event(n, key=f"k{rng.randrange(scenario.keys)}", type="n")
            for n in range(scenario.events)
        ]
        self._calm = False
        self._over = asyncio.Event()
        self._faults: list[Faults] = []

    async def run(self) -> None:
        """Let it all happen, let it come to rest, and look at what is left."""
        for topic in READS.values():
            await self.transport.create_topic(topic, partitions=self.scenario.partitions)
        async with asyncio.TaskGroup() as tasks:
            for name in range(self.scenario.processes):
                tasks.create_task(self._process(name), name=f"process {name}")
            await self._publish()
            self._calm = True
            for faults in self._faults:
                faults.calm = True
            await self._rest()
            self._over.set()
        await self._check()

    async def _process(self, name: int) -> None:
        lives = 0
        while not self._over.is_set():
            lives += 1
            faults = Faults(
                self.scenario.faults,
                clock=self.clock,
                rng=random.Random(f"process {name} life {lives} {self.scenario.seed}"),
                expire=self.transport.expire,
            )
            faults.calm = self._calm
            self._faults.append(faults)
            async with asyncio.TaskGroup() as tasks:
                life = tasks.create_task(self._life(faults), name=f"process {name} life {lives}")
                faults.attach(life)
            if faults.dead:
                await self.clock.sleep(self.scenario.lease_ttl_s)
                await faults.bury()
            elif life.cancelled():
                raise AssertionError(f"process {name} ended by itself")

    async def _life(self, faults: Faults) -> None:
        transport = FaultyTransport(self.transport, faults)
        store = FaultyStore(self.store, faults)
        app = build(self.scenario, self.clock)
        restless = self.scenario.restless and not self._calm
        async with app.run(transport, store, clock=self.clock, settings=self.scenario.settings):
            try:
                async with asyncio.timeout(10 * self.clock.random() if restless else None):
                    await self._over.wait()
            except TimeoutError:
                pass

    async def _publish(self) -> None:
        rng = random.Random(f"publisher {self.scenario.seed}")
        left = list(self.events)
        while left:
            size = rng.randint(1, 5)
            batch, left = left[:size], left[size:]
            await self.transport.publish("in", batch)
            await self.clock.sleep(rng.random())

    async def _rest(self) -> None:
        try:
            await until(self._at_rest, self.clock, timeout_s=PATIENCE_S, every_s=0.5)
        except TimeoutError:
            raise AssertionError(f"it does not come to rest: {await self._unrest()}") from None

    async def _at_rest(self) -> bool:
        return not await self._unrest()

    async def _unrest(self) -> list[str]:
        found: list[str] = []
        for info in await self.transport.topics():
            group = "fold" if info.name == "rich" else "enrich"
            for index, end in enumerate(info.ends if not info.name.endswith(".dlq") else ()):
                progress = await self.store.progress(group, Partition(info.name, index))
                if progress.next != end or progress.parked_keys:
                    parked = sorted(progress.parked_keys)
                    found.append(f"{group} {info.name}/{index}: {progress.next}/{end} {parked}")
        if await self.store.outbox.next_due_us() is not None:
            found.append("the outbox is not empty")
        return found

    async def _check(self) -> None:
        letters = [row.letter for row in await self.store.dead_letters.list(limit=10_000)]
        dead = {msgspec.json.decode(letter.value, type=Event).id for letter in letters}
        keys = sorted({event.key for event in self.events})
        values = await self.store.state("fold").get_many(keys)
        for key in keys:
            mine = [event.id for event in self.events if event.key == key]
            state = values.get(key)
            done = msgspec.json.decode(state.value, type=Handled).causes if state else []
            twice = [id for id, times in Counter(done).items() if times > 1]
            assert not twice, f"{twice[0]} of {key} is in the state twice"
            lost = [id for id in mine if id not in done and id not in dead]
            assert not lost, f"{lost[0]} of {key} is lost"
            assert not set(done) - set(mine), f"{key} has what was never published"
            if self.scenario.on_failure == "park":
                wanted = [id for id in mine if id not in dead]
                came = [id for id in done if id not in dead]
                assert came == wanted, f"the order of {key}: {came}, not {wanted}"
        fatal = {event.id for event in self.events if self._fatal(event)}
        assert dead == fatal, f"dead letters: {sorted(dead ^ fatal)}"
        assert len(letters) == len(fatal), f"{len(letters)} dead letters of {len(fatal)} events"
        await self._check_topics(fatal)

    def _fatal(self, event: Event) -> bool:
        return chance(self.scenario.seed, "enrich", event.id) < self.scenario.fatal

    async def _check_topics(self, fatal: set[str]) -> None:
        if self.scenario.on_failure != "topic":
            return
        there = {
            record.event.id
            for partition in self.log.partitions("in.dlq")
            for record in self.log.read(partition, offset=0, limit=10_000).records
        }
        assert there == fatal, f"dead-letter topic: {sorted(there ^ fatal)}"


def run_seed(seed: int) -> None:
    """Run one seed to its end and check what must hold.

    Raises:
        AssertionError: something does not hold; the message names the seed.
    """

    async def program(clock: SimClock) -> None:
        await World(draw(seed), clock).run()

    try:
        simulate(program, seed=f"delivery {seed}", max_steps=MAX_STEPS)
    except BaseException as err:
        reason: BaseException = err
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[0]
        if isinstance(reason, KeyboardInterrupt):
            raise
        raise AssertionError(f"seed {seed} fails: {type(reason).__name__}: {reason}") from err
