"""A worker on memory backends, in simulated time."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from motet import (
    App,
    Append,
    Context,
    Draft,
    Event,
    HandlerError,
    Outcome,
    RetryPolicy,
    Settings,
    State,
    emit,
)
from motet.core.errors import Unavailable
from motet.core.event import Partition
from motet.core.outcome import Commit
from motet.core.ports import Status
from motet.drivers.memory import MemoryLog
from motet.runtime import Running
from motet.stores.memory import MemoryStore
from motet.testing.simulation import SimClock, simulate, until
from motet.transports.memory import MemoryTransport


class Bench:
    """A log, a store and an app on them."""

    def __init__(self, clock: SimClock, *, partitions: int = 2, shared: bool = True) -> None:
        self.clock = clock
        self.log = MemoryLog(clock, partitions=partitions)
        self.transport = MemoryTransport(self.log)
        self.store = MemoryStore(self.log, shared=shared)

    @asynccontextmanager
    async def running(
        self, app: App, settings: Settings | None = None, store: MemoryStore | None = None
    ) -> AsyncIterator[Running]:
        async with app.run(
            self.transport, store or self.store, clock=self.clock, settings=settings
        ) as running:
            yield running

    async def publish(self, topic: str, *events: tuple[str, object], kind: str = "seen") -> None:
        """Publish (key, payload) pairs."""
        now = len(self.log.partitions(topic)) if topic in [t.name for t in self.log.infos()] else 0
        await self.transport.publish(
            topic,
            [
                Event(
                    id=f"{topic}-{key}-{data}-{now}",
                    type=kind,
                    time="2026-05-25T10:15:30Z",
                    key=key,
                    data=msgspec.Raw(msgspec.json.encode(data)),
                )
                for key, data in events
            ],
        )

    async def idle(self, running: Running, *, within_s: float = 600.0) -> None:
        """Return once every group has done everything and nothing is parked."""
        await until(running.idle, self.clock, timeout_s=within_s)

    async def dead(self) -> list[tuple[str, str, int]]:
        """Dead letters as (group, code, attempts)."""
        letters = await self.store.dead_letters.list()
        return [(x.letter.group, x.letter.error.code, x.letter.attempts) for x in letters]


def play(scenario: Callable[[Bench], Awaitable[None]], **options: object) -> None:
    """Run a scenario under three schedules of the event loop."""
    for seed in range(3):

        async def program(clock: SimClock) -> None:
            await scenario(Bench(clock, **options))

        simulate(program, seed=seed)


def test_records_of_one_key_are_handled_in_order_and_once() -> None:
    async def scenario(bench: Bench) -> None:
        seen: dict[str, list[int]] = {}
        app = App("a")

        @app.on("in")
        async def note(n: int, event: Event, context: Context) -> None:
            await bench.clock.sleep(0.1 / (n + 1))
            seen.setdefault(event.key, []).append(n)

        async with bench.running(app) as running:
            await bench.publish("in", *((f"k{n % 5}", n) for n in range(50)))
            await bench.idle(running)
        assert seen == {f"k{k}": list(range(k, 50, 5)) for k in range(5)}

    play(scenario)


def test_a_slow_key_does_not_hold_up_the_others() -> None:
    async def scenario(bench: Bench) -> None:
        finished: list[str] = []
        app = App("a")

        @app.on("in")
        async def work(data: int, event: Event) -> None:
            await bench.clock.sleep(60.0 if event.key == "slow" else 0.01)
            finished.append(event.key)

        async with bench.running(app, Settings(target_latency_s=120.0)) as running:
            await bench.publish("in", ("slow", 0), *((f"k{n}", n) for n in range(30)))
            await until(lambda: len(finished) == 30, bench.clock, timeout_s=5.0)
            # What finished is committed ahead of the slow one: a crash now would not repeat it.
            progress = await bench.store.progress("a", Partition("in", 0))
            assert progress.next == 0
            assert len(progress.ahead) == 30
            await bench.idle(running)
        assert finished[-1] == "slow"

    play(scenario, partitions=1)


def test_a_failing_record_is_tried_again_later_and_its_key_waits_in_order() -> None:
    async def scenario(bench: Bench) -> None:
        tries: list[float] = []
        seen: list[int] = []
        app = App("a")

        @app.on("in")
        def work(n: int, context: Context) -> None:
            if n == 1:
                tries.append(context.now_us / 1e6)
                if len(tries) < 3:
                    raise ValueError("not yet")
            seen.append(n)

        async with bench.running(app) as running:
            await bench.publish("in", *(("k", n) for n in range(4)))
            await bench.publish("in", ("other", 100))
            await until(lambda: 100 in seen, bench.clock, timeout_s=0.9)
            await bench.publish("in", ("k", 4))
            await bench.idle(running)
        assert [n for n in seen if n < 100] == [0, 1, 2, 3, 4]
        waits = [after - before for before, after in itertools.pairwise(tries)]
        assert 1.0 <= waits[0] <= 2.1
        assert 2.0 <= waits[1] <= 3.1
        assert await bench.dead() == []

    play(scenario)


def test_with_skip_later_records_of_a_failed_key_go_on() -> None:
    async def scenario(bench: Bench) -> None:
        seen: list[int] = []
        app = App("a")

        @app.on("in", on_failure="skip")
        def work(n: int, context: Context) -> None:
            if n == 1 and context.attempt == 1:
                raise ValueError("not yet")
            seen.append(n)

        async with bench.running(app) as running:
            await bench.publish("in", *(("k", n) for n in range(4)))
            await bench.idle(running)
        assert seen == [0, 2, 3, 1]

    play(scenario)


def test_after_the_last_try_the_record_is_a_dead_letter_and_its_key_goes_on() -> None:
    async def scenario(bench: Bench) -> None:
        seen: list[int] = []
        app = App("a")

        @app.on("in", retry=RetryPolicy(tries=3))
        def work(n: int) -> None:
            if n == 0:
                raise KeyError("gone")
            seen.append(n)

        async with bench.running(app) as running:
            await bench.publish("in", ("k", 0), ("k", 1), ("k", 2))
            await bench.idle(running)
        assert seen == [1, 2]
        assert await bench.dead() == [("a", "KeyError", 3)]

    play(scenario)


def test_what_can_never_work_is_a_dead_letter_at_once() -> None:
    async def scenario(bench: Bench) -> None:
        app = App("a")

        @app.on("in")
        def work(n: int) -> None:
            raise HandlerError("no such customer", code="NO_CUSTOMER", retryable=False)

        async with bench.running(app) as running:
            await bench.publish("in", ("k", 0))
            await bench.publish("in", ("k", "not a number"))
            await bench.idle(running, within_s=5.0)
        assert sorted(await bench.dead()) == [("a", "CodecError", 1), ("a", "NO_CUSTOMER", 1)]

    play(scenario)


def test_bytes_that_are_no_event_reach_the_dead_letters_intact() -> None:
    async def scenario(bench: Bench) -> None:
        seen: list[int] = []
        app = App("a")

        @app.on("in")
        def work(n: int) -> None:
            seen.append(n)

        await bench.publish("in", ("k", 1))
        bench.log.append_broken(Partition("in", 0), b"\xff{junk", error="not JSON")
        await bench.publish("in", ("k", 2))
        async with bench.running(app) as running:
            await bench.idle(running)
        letters = await bench.store.dead_letters.list()
        assert [x.letter.value for x in letters] == [b"\xff{junk"]
        assert letters[0].letter.error.code == "CodecError"
        assert seen == [1, 2]

    play(scenario, partitions=1)


def test_a_redriven_dead_letter_is_handled_by_the_group_that_failed_and_no_other() -> None:
    async def scenario(bench: Bench) -> None:
        broken = [True]
        seen: list[str] = []
        app = App("a")

        @app.on("in", group="one", retry=RetryPolicy(tries=1))
        def one(n: int) -> None:
            if broken[0]:
                raise ValueError("broken")
            seen.append("one")

        @app.on("in", group="two")
        def two(n: int) -> None:
            seen.append("two")

        async with bench.running(app) as running:
            await bench.publish("in", ("k", 1))
            await bench.idle(running)
            assert await bench.dead() == [("one", "ValueError", 1)]
            broken[0] = False
            letter = (await bench.store.dead_letters.list())[0]
            now_us = bench.clock.now_us()
            assert await bench.store.dead_letters.redrive([letter.id], by="me", now_us=now_us) == 1
            await until(lambda: "one" in seen, bench.clock, timeout_s=5.0)
            await bench.idle(running)
        assert seen == ["two", "one"]
        letter = (await bench.store.dead_letters.list())[0]
        assert letter.status is Status.RETRIED

    play(scenario)


def test_effects_of_a_failed_try_are_not_committed() -> None:
    async def scenario(bench: Bench) -> None:
        app = App("a")

        @app.on("in")
        def count(n: int, state: State, context: Context) -> Draft:
            state.put((state.get(int) or 0) + 1)
            if context.attempt == 1:
                raise ValueError("after the put")
            return emit("out", n, type="counted")

        async with bench.running(app):
            await bench.publish("in", ("k", 7))
            await until(_has("out", 1, bench), bench.clock)
        values = await bench.store.state("a").get_many(["k"])
        assert (values["k"].value, values["k"].version) == (b"1", 1)

    play(scenario)


def _has(topic: str, count: int, bench: Bench) -> Callable[[], bool]:
    return lambda: any(i.name == topic and i.events == count for i in bench.log.infos())


def test_a_delayed_event_is_published_when_it_is_due_and_not_before() -> None:
    async def scenario(bench: Bench) -> None:
        app = App("a")

        @app.on("in")
        def later(n: int) -> Draft:
            return emit("out", n, type="later", delay_s=30.0)

        async with bench.running(app):
            began_s = bench.clock.monotonic_s()
            await bench.publish("in", ("k", 7))
            await until(_has("out", 1, bench), bench.clock, timeout_s=40.0)
            assert 30.0 <= bench.clock.monotonic_s() - began_s <= 32.0

    play(scenario)


def test_a_store_that_fails_for_a_while_costs_time_and_nothing_else() -> None:
    class Flaky(MemoryStore):
        failures = 3

        async def commit(self, commit: Commit) -> None:
            if self.failures:
                self.failures -= 1
                raise Unavailable("the disk is full")
            await super().commit(commit)

    async def scenario(bench: Bench) -> None:
        app = App("a")
        flaky = Flaky(bench.log)
        bench.store = flaky

        @app.on("in")
        def count(n: int, state: State) -> None:
            state.put((state.get(int) or 0) + n)

        async with bench.running(app) as running:
            await bench.publish("in", *(("k", n) for n in range(10)))
            await until(lambda: bool(running.problems()), bench.clock)
            assert "the disk is full" in running.problems()[0]
            await bench.idle(running)
            assert running.problems() == []
        assert (await flaky.state("a").get_many(["k"]))["k"].value == b"45"

    play(scenario)


def test_stopping_finishes_what_is_in_hand_and_fetches_nothing_more() -> None:
    async def scenario(bench: Bench) -> None:
        begun: list[int] = []
        app = App("a")

        @app.on("in")
        async def work(n: int, state: State) -> None:
            begun.append(n)
            await bench.clock.sleep(5.0)
            state.put(n)

        async with bench.running(app, Settings(max_in_flight=2)):
            await bench.publish("in", *((f"k{n}", n) for n in range(10)))
            await until(lambda: len(begun) == 2, bench.clock)
        assert len(begun) == 2
        states = await bench.store.state("a").get_many([f"k{n}" for n in range(10)])
        assert len(states) == 2
        assert (await bench.store.progress("a", Partition("in", 0))).next == 2

    play(scenario, partitions=1)


def test_what_takes_longer_than_the_drain_is_given_up_and_handled_again() -> None:
    async def scenario(bench: Bench) -> None:
        begun: list[int] = []
        app = App("a")

        @app.on("in")
        async def work(n: int) -> None:
            begun.append(n)
            await bench.clock.sleep(100.0 if len(begun) == 1 else 0.0)

        async with bench.running(app, Settings(drain_s=1.0)) as running:
            await bench.publish("in", ("k", 1))
            await until(lambda: len(begun) == 1, bench.clock)
        assert (await bench.store.progress("a", Partition("in", 0))).next == 0
        async with bench.running(app) as running:
            await bench.idle(running)
        assert begun == [1, 1]

    play(scenario, partitions=1)


def test_another_worker_that_took_over_fences_the_one_that_was_slow() -> None:
    async def scenario(bench: Bench) -> None:
        app = App("a")
        runs: list[int] = []

        @app.on("in")
        async def work(n: int, state: State) -> None:
            runs.append(n)
            await bench.clock.sleep(10.0 if len(runs) == 1 else 0.1)
            state.put((state.get(int) or 0) + 1)

        async with bench.running(app) as running:
            await bench.publish("in", ("k", 1))
            await until(lambda: len(runs) == 1, bench.clock)
            bench.transport.expire("a", Partition("in", 0))
            async with bench.running(app) as running:
                await bench.idle(running)
        values: Sequence[bytes] = [
            v.value for v in (await bench.store.state("a").get_many(["k"])).values()
        ]
        assert values == [b"1"]

    play(scenario, partitions=1)


def test_a_bug_in_the_runtime_ends_the_program_instead_of_standing_still() -> None:
    class Broken(MemoryStore):
        async def commit(self, commit: Commit) -> None:
            raise AssertionError("a bug")

    async def scenario(bench: Bench) -> None:
        app = App("a")

        @app.on("in")
        def work(n: int) -> None:
            """Do nothing."""

        raised = False
        try:
            async with bench.running(app, store=Broken(bench.log)):
                await bench.publish("in", ("k", 1))
                await asyncio.Event().wait()
        except* AssertionError:
            raised = True
        assert raised

    play(scenario)


def test_an_append_that_can_never_fit_fails_alone_and_ends_as_a_dead_letter() -> None:
    async def scenario(bench: Bench) -> None:
        app = App("a")

        @app.on("in", retry=RetryPolicy(tries=2, base_s=0.1, jitter_s=0.0))
        def first_only(event: Event) -> Outcome:
            return Outcome(appends=(Append(f"s-{event.key}", (event,), expected=0),))

        async with bench.running(app) as running:
            await bench.publish("in", ("A", 1), ("B", 2))
            await bench.idle(running)
            await bench.publish("in", ("A", 3), ("C", 4))
            await bench.idle(running)
        assert await bench.dead() == [("a", "WrongVersion", 2)]
        for key in "ABC":
            assert len(await bench.store.streams.read(f"s-{key}")) == 1

    play(scenario, partitions=1)


def test_the_same_in_lanes_leaves_other_keys_alone() -> None:
    async def scenario(bench: Bench) -> None:
        app = App("a")

        @app.on("in", retry=RetryPolicy(tries=2, base_s=0.1, jitter_s=0.0))
        async def first_only(event: Event) -> Outcome:
            return Outcome(appends=(Append(f"s-{event.key}", (event,), expected=0),))

        async with bench.running(app) as running:
            await bench.publish("in", ("A", 1), ("B", 2), ("A", 3), ("C", 4), ("A", 5))
            await bench.idle(running)
        assert await bench.dead() == [("a", "WrongVersion", 2)] * 2
        for key in "ABC":
            assert len(await bench.store.streams.read(f"s-{key}")) == 1

    play(scenario, partitions=1)


def test_an_async_handler_may_read_a_stream_and_append_to_it_event_after_event() -> None:
    async def scenario(bench: Bench) -> None:
        app = App("a")
        runs: list[str] = []

        @app.on("in")
        async def record(event: Event) -> Outcome:
            runs.append(event.id)
            version = len(await bench.store.streams.read(event.key))
            return Outcome(appends=(Append(event.key, (event,), expected=version),))

        async with bench.running(app) as running:
            await bench.publish("in", *(("k", n) for n in range(20)))
            await bench.idle(running)
        assert len(await bench.store.streams.read("k")) == 20
        assert len(runs) == 20

    play(scenario, partitions=1)


def test_keys_that_share_a_state_value_all_get_through() -> None:
    async def scenario(bench: Bench) -> None:
        app = App("a")

        @app.on("in", state=lambda n: "total")
        async def add(n: int, state: State) -> None:
            total = state.get(int) or 0
            await bench.clock.sleep(0.02)
            state.put(total + n)

        async with bench.running(app) as running:
            await bench.publish("in", *((f"k{n}", n) for n in range(20)))
            await bench.idle(running)
        assert (await bench.store.state("a").get_many(["total"]))["total"].value == b"190"
        assert await bench.dead() == []

    play(scenario, partitions=1)


def test_after_a_stop_no_record_is_begun() -> None:
    async def scenario(bench: Bench) -> None:
        begun: list[float] = []
        app = App("a")

        @app.on("in")
        async def work(n: int) -> None:
            begun.append(bench.clock.monotonic_s())
            await bench.clock.sleep(1.0)

        async with bench.running(app, Settings(max_in_flight=4)):
            await bench.publish("in", *((f"k{n % 3}", n) for n in range(40)))
            await until(lambda: len(begun) >= 8, bench.clock)
            stopped_s = bench.clock.monotonic_s()
        assert max(begun) <= stopped_s
        assert bench.clock.monotonic_s() - stopped_s < 1.5

    play(scenario)


def test_a_slow_retry_does_not_hold_up_the_retries_of_other_keys() -> None:
    async def scenario(bench: Bench) -> None:
        done: dict[str, float] = {}
        app = App("a")

        @app.on("in", retry=RetryPolicy(base_s=0.1, jitter_s=0.0))
        async def work(n: int, event: Event, context: Context) -> None:
            if context.attempt == 1:
                if event.key == "fast":
                    await bench.clock.sleep(0.5)
                raise ValueError("first")
            await bench.clock.sleep(30.0 if event.key == "slow" else 0.0)
            done[event.key] = bench.clock.monotonic_s()

        async with bench.running(app, Settings(target_latency_s=60.0)) as running:
            await bench.publish("in", ("slow", 1), ("fast", 2))
            await bench.idle(running)
        assert done["fast"] < 2.0
        assert done["slow"] > 30.0

    play(scenario, partitions=1)


def test_a_group_behind_what_retention_removed_goes_on_from_the_oldest_kept() -> None:
    async def scenario(bench: Bench) -> None:
        seen: list[int] = []
        app = App("a")

        @app.on("in")
        def sync(n: int) -> None:
            seen.append(n)

        @app.on("in", group="lanes")
        async def lanes(n: int) -> None:
            seen.append(n)

        await bench.transport.create_topic("in", partitions=1, retention_s=10.0)
        await bench.publish("in", ("k", 1), ("k", 2))
        await bench.clock.sleep(20.0)
        await bench.publish("other", ("k", 0))
        async with bench.running(app) as running:
            await bench.idle(running, within_s=5.0)
            await bench.publish("in", ("k", 3))
            await bench.idle(running, within_s=5.0)
        assert seen == [3, 3]

    play(scenario, partitions=1)
