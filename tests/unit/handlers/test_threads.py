"""Threads for blocking handlers: as many as allowed, and none that anybody waits for."""

import subprocess
import sys
import threading
from concurrent.futures import Future

import pytest

from motet import App, Settings
from motet.core.clock import SystemClock
from motet.core.event import Event
from motet.drivers.memory import MemoryLog
from motet.handlers import Threads
from motet.stores.memory import MemoryStore
from motet.testing.events import make_events
from motet.transports.memory import MemoryTransport


def test_calls_run_side_by_side_up_to_the_limit() -> None:
    threads = Threads(3, name="ours")
    together = threading.Barrier(3)
    lowest = threading.Lock()
    running, most = 0, 0

    def call(number: int) -> int:
        nonlocal running, most
        with lowest:
            running += 1
            most = max(most, running)
        together.wait(10)
        with lowest:
            running -= 1
        return number

    futures = [threads.submit(call, number) for number in range(9)]

    assert [future.result(10) for future in futures] == list(range(9))
    assert most == 3
    threads.shutdown()


def test_a_thread_that_is_free_is_used_again() -> None:
    threads = Threads(9, name="ours")
    names = {threads.submit(lambda: threading.current_thread().name).result(10)}
    assert names == {"ours-0"}
    threads.shutdown()


def test_an_error_is_raised_where_the_result_is_wanted() -> None:
    threads = Threads(1, name="ours")
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(10)
    assert threads.submit(lambda: 5).result(10) == 5
    threads.shutdown()


def test_a_shutdown_waits_for_nobody_and_cancels_what_has_not_begun() -> None:
    threads = Threads(1, name="ours")
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> bool:
        begun.set()
        return go_on.wait(10)

    held = threads.submit(hold)
    begun.wait(10)
    waiting: Future[int] = threads.submit(lambda: 1)
    threads.shutdown(cancel_futures=True)

    assert waiting.cancelled()
    assert not held.done()
    with pytest.raises(RuntimeError, match="shut down"):
        threads.submit(lambda: 1)
    go_on.set()
    assert held.result(10)


def test_a_handler_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    program = (
        "import threading; from motet.handlers import Threads; begun = threading.Event();"
        "Threads(1, name='ours').submit(lambda: (begun.set(), threading.Event().wait()));"
        "begun.wait(10)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)  # our own


async def test_an_app_has_threads_of_its_own_as_many_as_records_in_flight() -> None:
    app = App("shop")
    together = threading.Barrier(40)  # more than the event loop's own executor would have
    names: set[str] = set()

    @app.on("orders", blocking=True, timeout_s=20.0)
    def handle(event: Event) -> None:
        names.add(threading.current_thread().name)
        together.wait(10)

    clock = SystemClock()
    log = MemoryLog(clock, partitions=1)
    transport, store = MemoryTransport(log), MemoryStore(log)
    await transport.publish("orders", make_events(40, keys=40))
    async with app.run(transport, store, clock=clock, settings=Settings(max_in_flight=40)) as work:
        await work.until_idle()

    assert await store.dead_letters.list() == []
    assert len(names) == 40
    assert all(name.startswith("shop-") for name in names)
