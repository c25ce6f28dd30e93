"""A log that has events more than once: what a group makes of them."""

import pytest

from motet import App, Event, HandlerError, RetryPolicy
from motet.core.event import Partition, Record
from motet.core.outcome import Commit
from motet.drivers.memory import MemoryLog
from motet.runtime import Running
from motet.runtime.inbox import Inbox
from motet.stores.memory import MemoryStore
from motet.telemetry import Metrics
from motet.telemetry.families import PROCESSED
from motet.testing.events import make_event
from motet.testing.simulation import SimClock, simulate, until
from motet.transports.memory import MemoryTransport

PLACE = Partition("in", 0)


class Asked(MemoryStore):
    """Notes what the inbox is asked."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log, shared=False)
        self.asked: list[list[str]] = []

    async def handled(self, group, topic, ids):
        self.asked.append(list(ids))
        return await super().handled(group, topic, ids)


def record(number: int, offset: int) -> Record:
    return Record(make_event(number), offset)


async def idle(running: Running, clock: SimClock) -> None:
    await until(running.idle, clock, timeout_s=600.0)


def test_first_copies_and_repeats_are_told_apart_within_a_fetch_and_across() -> None:
    async def program(clock: SimClock) -> None:
        store = Asked(MemoryLog(clock))
        await store.commit(Commit("g", PLACE, 0, 1, handled=(make_event(0).id,)))
        inbox = Inbox(store, group="g", topic="in")
        first, repeats = await inbox.sort([record(n, at) for at, n in enumerate((1, 0, 1, 2))])
        assert ([r.offset for r in first], {r.offset for r in repeats}) == ([0, 3], {1, 2})
        # What is in flight is known without asking.
        first, repeats = await inbox.sort([record(1, 4), record(2, 5)])
        assert (len(first), len(repeats), len(store.asked)) == (0, 2, 1)
        # After a reload it is read again.
        inbox.forget()
        first, repeats = await inbox.sort([record(1, 0), record(2, 3)])
        assert (len(first), len(repeats), len(store.asked)) == (2, 0, 2)

    simulate(program, seed=0)


@pytest.mark.parametrize("lanes", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_repeat_is_passed_over_and_counted(lanes: bool, seed: int) -> None:
    async def program(clock: SimClock) -> None:
        log = MemoryLog(clock, partitions=1, repeats=True)
        transport, store, metrics = MemoryTransport(log), Asked(log), Metrics()
        app, seen = _noting(lanes)
        events = [make_event(n, key=f"k{n % 2}") for n in range(4)]
        await transport.publish("in", [*events[:3], *events])
        async with app.run(transport, store, clock=clock, metrics=metrics) as running:
            await idle(running, clock)
            await transport.publish("in", events)
            await idle(running, clock)
        assert sorted(seen) == [event.id for event in events]
        assert (await store.progress("g", PLACE)).next == 11
        counts = {
            status: metrics.value(PROCESSED, ("in", events[0].type, status))
            for status in ("ok", "repeat")
        }
        assert counts == {"ok": 4, "repeat": 7}

    simulate(program, seed=seed)


@pytest.mark.parametrize("lanes", [True, False])
def test_a_log_that_has_an_id_once_is_not_asked_about_and_nothing_is_remembered(
    lanes: bool,
) -> None:
    async def program(clock: SimClock) -> None:
        log = MemoryLog(clock, partitions=1)
        transport, store = MemoryTransport(log), Asked(log)
        app, seen = _noting(lanes)
        await transport.publish("in", [make_event(n) for n in range(3)])
        async with app.run(transport, store, clock=clock) as running:
            await idle(running, clock)
        assert len(seen) == 3
        assert store.asked == []
        assert await store.handled("g", "in", seen) == set()

    simulate(program, seed=0)


@pytest.mark.parametrize("lanes", [True, False])
def test_a_repeat_of_what_waits_for_another_try_does_not_queue_behind_it(lanes: bool) -> None:
    async def program(clock: SimClock) -> None:
        log = MemoryLog(clock, partitions=1, repeats=True)
        transport, store = MemoryTransport(log), Asked(log)
        app, seen = _noting(lanes, failures=2)
        await transport.publish("in", [make_event(0), make_event(1), make_event(0)])
        async with app.run(transport, store, clock=clock) as running:
            await until(lambda: _parked(store), clock)
            await transport.publish("in", [make_event(1), make_event(0), make_event(2)])
            await idle(running, clock)
        assert seen == [make_event(n).id for n in range(3)]
        assert list(await store.dead_letters.list()) == []

    simulate(program, seed=1)


@pytest.mark.parametrize("lanes", [True, False])
def test_a_dead_letter_has_its_id_remembered_and_can_be_redriven(lanes: bool) -> None:
    async def program(clock: SimClock) -> None:
        log = MemoryLog(clock, partitions=1, repeats=True)
        transport, store = MemoryTransport(log), Asked(log)
        app, seen = _noting(lanes, failures=1, retryable=False)
        await transport.publish("in", [make_event(0), make_event(0)])
        async with app.run(transport, store, clock=clock) as running:
            await idle(running, clock)
            await transport.publish("in", [make_event(0)])
            await idle(running, clock)
            (letter,) = await store.dead_letters.list()
            assert seen == []
            await store.dead_letters.redrive([letter.id], by="ann", now_us=clock.now_us())
            await until(lambda: bool(seen), clock)
        assert seen == [make_event(0).id]

    simulate(program, seed=1)


def test_a_repeat_is_done_at_once_while_its_first_copy_is_in_flight() -> None:
    async def program(clock: SimClock) -> None:
        log = MemoryLog(clock, partitions=1, repeats=True)
        transport, store = MemoryTransport(log), Asked(log)
        app, begun = App("a"), []

        @app.on("in", group="g")
        async def slow(event: Event) -> None:
            begun.append(event.id)
            await clock.sleep(20)

        await transport.publish("in", [make_event(0)])
        async with app.run(transport, store, clock=clock) as running:
            await until(lambda: bool(begun), clock)
            await transport.publish("in", [make_event(0), make_event(0)])

            async def ahead() -> bool:
                return (await store.progress("g", PLACE)).ahead == (1, 2)

            await until(ahead, clock, timeout_s=10)
            await idle(running, clock)
        assert len(begun) == 1
        assert (await store.progress("g", PLACE)).next == 3

    simulate(program, seed=1)


async def _parked(store: MemoryStore) -> bool:
    return bool((await store.progress("g", PLACE)).parked_keys)


def _noting(lanes: bool, *, failures: int = 0, retryable: bool = True) -> tuple[App, list[str]]:
    """An app of one group that notes what it handled; its first tries fail."""
    app, seen = App("a"), []
    left = failures

    def note(event: Event) -> None:
        nonlocal left
        if left:
            left -= 1
            raise HandlerError("not yet", retryable=retryable)
        seen.append(event.id)

    async def note_async(event: Event) -> None:
        note(event)

    handler = note_async if lanes else note
    app.on("in", group="g", retry=RetryPolicy(tries=5))(handler)
    return app, seen
