"""`motet demo` as its user runs it: a process, a folder, SQLite."""

from __future__ import annotations

import signal
import subprocess
import urllib.request
from pathlib import Path

import msgspec
import pytest

from examples.orders.report import SHOWN, Report
from tests.integration.demos import MOTET, URL, books, check, command, run

ORDERS = 400

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, object]:
    return run(folder, orders=ORDERS)


def test_the_report_maps_each_outcome_to_its_count(report: dict[str, object]) -> None:
    outcomes = msgspec.convert(report["outcomes"], dict[str, int])

    assert tuple(outcomes) == SHOWN
    assert sum(outcomes.values()) == report["orders"] == ORDERS
    assert min(outcomes["PROCESSED"], outcomes["REVIEW"], outcomes["OUT_OF_STOCK"]) > 0


def test_the_report_is_what_it_is_documented_to_be(report: dict[str, object]) -> None:
    found = msgspec.convert(report, Report)

    assert found.source == "generated"
    assert found.run.orders == ORDERS
    assert found.run.orders_per_s is not None
    assert found.run.events == found.events
    assert 0 < (found.latency.p50_ms or 0) <= (found.latency.p99_ms or 0)
    dead = sum(each.count for each in found.dead_letters)
    assert dead == found.outcomes["MALFORMED"] + found.outcomes["DEAD"]


async def test_what_is_left_in_the_folder_adds_up(folder: Path, report: dict[str, object]) -> None:
    left = await books(f"sqlite:///{folder}/.motet/demo.db", orders=ORDERS)

    check(left, orders=ORDERS)
    assert len(left.outcomes) + len(left.refused) == ORDERS


def test_a_second_run_finds_nothing_to_do_and_says_the_same(
    folder: Path, report: dict[str, object]
) -> None:
    again = run(folder, orders=ORDERS)

    same = ("outcomes", "orders", "lines", "duplicates", "source", "dead_letters", "events")
    assert {name: again[name] for name in same} == {name: report[name] for name in same}
    assert msgspec.convert(again, Report).run.orders_per_s is None


def test_a_fresh_folder_gives_the_same_outcomes(tmp_path: Path, report: dict[str, object]) -> None:
    assert run(tmp_path, orders=ORDERS)["outcomes"] == report["outcomes"]


@pytest.mark.parametrize("asked", [["--orders", "7"], ["--source", "CDNOW"], ["--all"]])
def test_a_folder_that_holds_another_demo_is_refused(
    folder: Path, report: dict[str, object], asked: list[str]
) -> None:
    done = subprocess.run(
        [*MOTET, "demo", "--exit", "--json", *asked],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert done.returncode == 2
    assert "delete the database to start over" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("asked", [["--orders", "0"], ["--orders", "7", "--all"]])
def test_a_wish_that_makes_no_sense_is_an_error_of_usage(tmp_path: Path, asked: list[str]) -> None:
    done = subprocess.run(
        [*MOTET, "demo", "--exit", *asked], cwd=tmp_path, capture_output=True, check=False
    )

    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1


def test_without_exit_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("--json", orders=50), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as demo:
        assert demo.stdout is not None
        text = b""
        while not text.endswith(b"\n}\n"):
            text += demo.stdout.readline()
        found = msgspec.json.decode(text, type=Report)
        with urllib.request.urlopen(f"{found.api}/readyz") as answer:
            assert answer.status == 200
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(timeout=30) == 0


def test_interrupted_it_goes_on_at_the_next_start(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("--json", "--exit", orders=ORDERS),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as demo:
        assert demo.stderr is not None
        demo.stderr.readline()  # says that it has begun
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=30) in (130, 0)

    assert run(tmp_path, orders=ORDERS)["orders"] == ORDERS


def test_the_table_names_every_outcome_and_where_to_look_next(
    folder: Path, report: dict[str, object]
) -> None:
    done = subprocess.run(
        [*MOTET, "demo", "--exit"], cwd=folder, capture_output=True, text=True, check=True
    )

    assert all(outcome in done.stdout for outcome in SHOWN)
    steps = [line.strip() for line in done.stdout.splitlines() if line.startswith("  motet ")]
    assert f"motet dlq list --url {URL}" in steps
    for step in steps:
        shown = subprocess.run(
            [*MOTET, *step.split()[1:]], cwd=folder, capture_output=True, check=False
        )
        assert shown.returncode == 0, (step, shown.stderr)
