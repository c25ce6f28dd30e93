from motet.app import App
from motet.backends import Backends
from motet.cli.checks import check_deliveries, check_work, promises
from motet.core.checks import State
from motet.core.clock import SystemClock
from motet.core.event import Partition
from motet.core.outcome import Commit, DeadLetter, Emit, ErrorInfo, Outcome
from motet.core.ports import Guarantee
from motet.testing import make_event, make_events


async def test_work_that_waits_for_nobody_is_a_warning(backends: Backends) -> None:
    clock = SystemClock()
    partition = Partition("orders", 0)
    await backends.transport.create_topic("orders", partitions=1)
    await backends.transport.publish("orders", make_events(5))
    late = Emit("orders", make_event(99), not_before_us=1)
    await backends.store.commit(
        Commit(
            group="stock",
            partition=partition,
            version=0,
            next=2,
            outcomes=(Outcome(emits=(late,)),),
        )
    )
    await backends.store.dead_letters.add(
        [DeadLetter("orders", 0, 1, "stock", "k", "t", b"{}", ErrorInfo("TimeoutError", "late"))]
    )

    found = {c.name: c for c in await check_work(backends, clock, members=0)}

    assert found["lag"].state is State.WARN
    assert "start `motet run`" in found["lag"].advice
    assert found["dead letters"].state is State.WARN
    assert "TimeoutError 1" in found["dead letters"].found
    assert found["parked"].state is State.OK


async def test_an_idle_store_is_well(backends: Backends) -> None:
    found = await check_work(backends, SystemClock(), members=0)

    assert {check.state for check in found} == {State.OK}


def test_guarantees_are_said_in_words() -> None:
    embedded = Guarantee.ORDERED | Guarantee.SHARED_TX | Guarantee.DEDUPLICATED

    assert "emitted events: exactly once, in the same transaction as the state" in promises(
        embedded, "store"
    )
    at_least_once = "emitted events: at least once, with stable ids by which readers drop repeats"
    assert at_least_once in promises(Guarantee.ORDERED, "store")
    assert "state and streams: exactly once" in promises(Guarantee.ORDERED, "store")


def test_what_delivery_mode_transport_promises_is_less() -> None:
    said = promises(Guarantee.ORDERED, "transport")

    assert "state: none is kept" in said
    assert "state and streams: exactly once" not in said


async def test_each_group_of_an_app_is_told_what_it_is_promised(backends: Backends) -> None:
    shop = App("shop")
    shop.route("orders", {"*": "copies"}, group="copying", delivery="transport")

    (told,) = check_deliveries(backends.transport, shop)

    assert told.name == "group copying"
    # The embedded log is in the store's own file: there is nothing to be gained by less.
    assert told.found.startswith("delivery store: state and streams: exactly once")
