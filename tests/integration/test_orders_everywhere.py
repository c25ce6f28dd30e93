"""The order pipeline comes to the same on every transport, though a worker is killed on the way.

Two processes share the work over a broker and one store; one of them is killed with SIGKILL when
about half is done. What is left is compared with an undisturbed run in memory.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from examples.orders.demo import Wishes, demo
from examples.orders.report import Report
from tests.integration.demos import Books, books, books_of, check, command, run
from tests.integration.test_demo_kills import Undisturbed, ended, ids, said
from tests.services import real, valkey

ORDERS = 600
STORE = "sqlite:///.motet/demo.db"

pytestmark = [pytest.mark.kill, pytest.mark.slow, pytest.mark.timeout(180)]

TRANSPORTS: dict[str, Callable[[], str]] = {
    "sqlite": lambda: STORE,
    "valkey": lambda: f"{valkey()}?prefix={_name()}",
    "redis": lambda: f"{real('redis')}?prefix={_name()}",
    "rabbitmq": lambda: f"{real('rabbitmq')}?prefix={_name()}",
    "kafka": lambda: f"{real('kafka')}?prefix={_name()}",
}


def _name() -> str:
    return f"t{secrets.token_hex(4)}."


@pytest.fixture(scope="module")
def undisturbed() -> tuple[Report, Books]:
    async def work() -> tuple[Report, Books]:
        wishes = Wishes(url="memory://", orders=ORDERS, source="generated", port=0)
        async with demo(wishes, Undisturbed()) as done:
            return done.report, await books_of(done.backends, orders=ORDERS)

    return asyncio.run(work())


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_outcomes_are_the_same_though_a_worker_is_killed(
    transport: str, tmp_path: Path, undisturbed: tuple[Report, Books]
) -> None:
    report, expected = undisturbed
    url = TRANSPORTS[transport]()
    with start(tmp_path, url) as one, start(tmp_path, url) as other:
        while handled_so_far(tmp_path) < report.events // 2:
            assert not ended(one, within_s=0.005)
        other.kill()
        assert one.wait() == 0, said(one)

    outcomes = run(tmp_path, "--url", url, "--store", STORE, orders=ORDERS)["outcomes"]
    found = await books(absolute(url, tmp_path), store=absolute(STORE, tmp_path), orders=ORDERS)

    assert outcomes == report.outcomes
    check(found, orders=ORDERS)
    assert found.outcomes == expected.outcomes
    assert found.refused == expected.refused
    assert found.shelves == expected.shelves
    assert found.payments == expected.payments
    assert ids(found) == ids(expected)


@contextmanager
def start(folder: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a demo and wait until it has begun; whatever happens, none is left behind."""
    with subprocess.Popen(
        command("--json", "--exit", "--url", url, "--store", STORE, orders=ORDERS),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stderr is not None
            process.stderr.readline()
            yield process
        finally:
            process.kill()


def handled_so_far(folder: Path) -> int:
    """How far all groups are together, read from the store without a lock."""
    database = folder / ".motet" / "demo.db"
    if not database.exists():
        return 0
    try:
        conn = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
        with conn:
            found = conn.execute("SELECT sum(next) FROM progress").fetchone()
        conn.close()
    except apsw.Error:  # it is being made
        return 0
    return int(found[0] or 0) if found else 0


def absolute(url: str, folder: Path) -> str:
    return url.replace("sqlite:///.motet", f"sqlite:///{folder}/.motet")
