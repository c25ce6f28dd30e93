"""How many records a batch has, in simulated time."""

from collections.abc import Callable

from motet import App, Event, Settings
from motet.core.event import Partition
from motet.drivers.memory import MemoryLog
from motet.stores.memory import MemoryStore
from motet.testing import make_events
from motet.testing.simulation import SimClock, simulate, until
from motet.transports.memory import MemoryTransport

SETTINGS = Settings(max_records=256, target_latency_s=1.0)


def sizes(latency_s: Callable[[int, int], float], *, events: int) -> list[int]:
    """Return the sizes of all batches; `latency_s(number, size)` says how long one takes."""
    seen: list[int] = []

    async def program(clock: SimClock) -> None:
        log = MemoryLog(clock, partitions=1)
        transport, store = MemoryTransport(log), MemoryStore(log)
        app = App("a")

        @app.on("in", batch=True)
        async def work(events: list[Event]) -> None:
            seen.append(len(events))
            await clock.sleep(latency_s(len(seen), len(events)))

        async def done() -> bool:
            return (await store.progress("a", Partition("in", 0))).next == events

        await transport.publish("in", make_events(events))
        async with app.run(transport, store, clock=clock, settings=SETTINGS):
            await until(done, clock, timeout_s=3_600.0)

    simulate(program, seed=1)
    assert sum(seen) == events
    return seen


def test_batches_that_are_slow_are_halved_until_they_take_what_they_should() -> None:
    seen = sizes(lambda number, size: size * 0.02, events=2_000)  # fifty a second

    assert seen[:4] == [256, 128, 64, 32]
    assert set(seen[4:-1]) == {32}


def test_batches_stay_above_a_size_below_which_nothing_is_gained() -> None:
    seen = sizes(lambda number, size: 5.0, events=1_000)

    assert seen[:6] == [256, 128, 64, 32, 16, 16]
    assert set(seen[6:-1]) == {16}


def test_batches_grow_again_once_they_are_fast_up_to_the_most() -> None:
    seen = sizes(lambda number, size: 5.0 if number < 3 else 0.1, events=3_000)

    assert seen[:6] == [256, 128, 64, 128, 256, 256]
    assert max(seen) == 256


def test_a_batch_that_is_neither_slow_nor_fast_changes_nothing() -> None:
    seen = sizes(lambda number, size: 5.0 if number == 1 else 0.7, events=1_000)

    assert seen[:3] == [256, 128, 128]
    assert set(seen[1:-1]) == {128}
