import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.world import run_seed

REGRESSIONS = Path(__file__).with_name("regressions.txt")
SEEDS = range(300)

pytestmark = pytest.mark.sim


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()  # the faults are meant to happen
    yield
    logging.disable(logging.NOTSET)


def _regressions() -> list[int]:
    lines = REGRESSIONS.read_text().splitlines()
    return [int(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_event_is_handled_once_in_order_whatever_fails(seed: int) -> None:
    run_seed(seed)


@pytest.mark.parametrize("seed", _regressions())
def test_what_failed_before_holds_now(seed: int) -> None:
    run_seed(seed)


def test_some_seeds_nobody_has_seen_before_hold_too() -> None:
    first = int.from_bytes(os.urandom(4), "big")
    for seed in range(first, first + 5):
        run_seed(seed)


def test_every_kind_of_fault_comes_to_pass() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(15):
        for fault, count in run_seed(seed).seen.items():
            kinds[fault.split()[0]] += count
    assert set(kinds) == {
        "clock_jump",
        "crash",
        "delay",
        "duplicate",
        "lost_lease",
        "unavailable",
        "unknown",
    }


def test_the_same_seed_gives_the_same_run() -> None:
    for seed in (3, 5, 8):
        one, two = run_seed(seed), run_seed(seed)
        assert one.log == two.log
        assert (one.tries, one.seen, one.letters) == (two.tries, two.seen, two.letters)
