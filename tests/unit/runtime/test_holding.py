"""What queues behind a failed key holds that key until it is parked itself."""

from motet import RetryPolicy
from motet.core.event import Partition, Record
from motet.core.outcome import Commit, Park
from motet.drivers.memory import MemoryLog
from motet.runtime.ledger import Ledger
from motet.runtime.readings import Done, Reading
from motet.runtime.reports import Report
from motet.stores.memory import MemoryStore
from motet.telemetry import Metrics
from motet.testing.events import make_event
from motet.testing.simulation import SimClock, simulate

PLACE = Partition("t", 0)


def test_a_key_that_comes_free_is_not_passed_by_what_is_read_before_the_queue_is_parked() -> None:
    async def program(clock: SimClock) -> None:
        store = MemoryStore(MemoryLog(clock))
        await store.commit(Commit("g", PLACE, 0, 1, parks=(Park(record(0), due_us=0),)))
        ledger = Ledger(
            Reading("g", PLACE, parks=True, repeats=False),
            store,
            clock=clock,
            retry=RetryPolicy(),
            report=Report(Metrics(), lambda: None),
        )
        await ledger.resume()
        (head,) = await ledger.due(10)
        ledger.offsets.take([record(1)], 2)
        free, behind = ledger.split([record(1)])
        assert (list(free), len(behind)) == ([], 1)
        await ledger.commit(Done([head], ()))  # the last parked row of the key
        assert not ledger.progress.parked_keys
        free, later = ledger.split([record(2)])
        assert (list(free), len(later)) == ([], 1)
        ledger.offsets.take([record(2)], 3)
        queue = [*behind, *later]
        await ledger.commit(Done([each.record for each in queue], (), queue))
        rows = await store.parked("g", PLACE, now_us=clock.now_us(), limit=10)
        assert [row.offset for row in rows] == [1, 2]

    simulate(program, seed=0)


def record(number: int) -> Record:
    return Record(make_event(number, key="k"), number)
