"""Commands as processes: pipes, signals, several of them on one file."""

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import IO

import pytest

from tests.integration.cli.conftest import Motet, Processes, order, write_orders

HELD = '''
"""A handler that says it has begun, and goes on when it is told to."""
from motet import App, Event, emit

app = App("held")


@app.on("orders", "order.created", blocking=True)
def take(event: Event):
    with open("begun", "w") as begun:
        begun.write("yes")
    with open("go", "r") as go:
        go.read()
    return emit("taken", {"order": event.id}, type="order.taken")
'''


@pytest.fixture
def held(folder: Path, motet: Motet) -> Path:
    """The module `held` and one order for it."""
    (folder / "held.py").write_text(HELD)
    os.mkfifo(folder / "begun")
    os.mkfifo(folder / "go")
    motet("publish", "orders", str(write_orders(folder / "orders.jsonl", 1)))
    return folder


def first_line(process: subprocess.Popen[bytes]) -> dict[str, object]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr.read() if process.stderr else ""
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def read_until(stream: IO[bytes] | None, wanted: bytes) -> bytes:
    """Read lines until one has it."""
    assert stream is not None
    for line in stream:
        if wanted in line:
            return line
    raise AssertionError(f"it ended without {wanted!r}")


@pytest.mark.usefixtures("shop")
def test_run_handles_what_is_published_and_serves_the_api(
    processes: Processes, motet: Motet, folder: Path
) -> None:
    run = processes.start("run", "shop:app", "--port", "0", "--json")
    began = first_line(run)
    write_orders(folder / "orders.jsonl", 100)
    motet("publish", "orders", "orders.jsonl")
    posted = urllib.request.Request(
        f"{began['api']}/v1/topics/orders/events",
        data=order(100),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(posted) as answer:
        assert answer.status == 202
    motet("worker", "shop:app", "--until-idle")

    taken = motet("tail", "taken", "--from", "start", "--json").lines
    run.send_signal(signal.SIGTERM)

    assert len(taken) == 101
    assert run.wait() == 0
    assert began["groups"] == ["shop"]


@pytest.mark.usefixtures("shop")
def test_run_says_where_the_api_is(processes: Processes) -> None:
    run = processes.start("run", "shop:app", "--port", "0")

    line = read_until(run.stdout, b"API: http://127.0.0.1:")
    address = line.split()[1].decode()
    with urllib.request.urlopen(f"{address}/healthz") as answer:
        assert answer.status == 200
    run.send_signal(signal.SIGINT)

    assert run.wait() == 130


@pytest.mark.usefixtures("shop")
def test_a_port_that_is_taken_is_said_in_one_line(processes: Processes) -> None:
    first = first_line(processes.start("run", "shop:app", "--port", "0", "--json"))
    port = str(first["api"]).rpartition(":")[2]

    second = processes.start("run", "shop:app", "--port", port)
    _, err = second.communicate()

    assert second.returncode == 2
    assert f"motet: cannot listen on 127.0.0.1:{port}" in err.decode().splitlines()[-1]


def test_sigterm_lets_what_is_in_hand_be_committed(
    processes: Processes, motet: Motet, held: Path
) -> None:
    worker = processes.start("worker", "held:app")
    assert (held / "begun").read_text() == "yes"

    worker.send_signal(signal.SIGTERM)
    read_until(worker.stderr, b"SIGTERM: draining, at most 30 s")
    (held / "go").write_text("on")

    assert worker.wait() == 0
    assert b"everything in hand is committed" in (worker.stderr.read() if worker.stderr else b"")
    assert len(motet("tail", "taken", "--json").lines) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_stops_at_once_and_nothing_is_lost(
    processes: Processes, motet: Motet, held: Path, number: signal.Signals
) -> None:
    worker = processes.start("worker", "held:app")
    assert (held / "begun").read_text() == "yes"

    worker.send_signal(number)
    read_until(worker.stderr, b"once more stops at once")
    worker.send_signal(number)
    assert worker.wait() == -number

    again = processes.start("worker", "held:app", "--until-idle")
    assert (held / "begun").read_text() == "yes"
    (held / "go").write_text("on")
    assert again.wait() == 0
    assert len(motet("tail", "taken", "--json").lines) == 1


def test_a_drain_that_takes_too_long_is_given_up(processes: Processes, held: Path) -> None:
    worker = processes.start("worker", "held:app", "--drain", "0.2s")
    assert (held / "begun").read_text() == "yes"

    worker.send_signal(signal.SIGTERM)

    assert worker.wait() == 1
    assert worker.stderr is not None
    assert b"not all was done within 0.2 s" in worker.stderr.read()


def test_a_reader_that_has_enough_ends_tail_quietly(
    processes: Processes, motet: Motet, folder: Path
) -> None:
    motet("publish", "orders", str(write_orders(folder / "orders.jsonl", 5000)))
    tail = processes.start("tail", "orders", "--from", "start", "--json")
    assert tail.stdout is not None
    assert tail.stdout.readline()
    tail.stdout.close()

    assert tail.wait() == 0
    assert tail.stderr is not None
    assert tail.stderr.read() == b""


def test_a_follower_notices_that_its_reader_has_gone(
    processes: Processes, motet: Motet, folder: Path
) -> None:
    motet("publish", "orders", str(write_orders(folder / "orders.jsonl", 1)))
    tail = processes.start("tail", "orders", "--follow", "--json")
    assert first_line(tail)["topic"] == "orders"
    assert tail.stdout is not None
    tail.stdout.close()

    assert tail.wait() == 0


def test_a_follower_sees_what_another_process_publishes(
    processes: Processes, motet: Motet, folder: Path
) -> None:
    motet("publish", "orders", str(write_orders(folder / "orders.jsonl", 1)))
    tail = processes.start("tail", "orders", "--follow", "--json")
    assert first_line(tail)["event"]["eventId"] == "order-0"  # type: ignore[index]

    (folder / "more.jsonl").write_bytes(order(1))
    motet("publish", "orders", "more.jsonl")

    assert first_line(tail)["event"]["eventId"] == "order-1"  # type: ignore[index]
    tail.send_signal(signal.SIGINT)
    assert tail.wait() == 130
    assert tail.stderr is not None
    assert tail.stderr.read() == b""


def test_events_from_a_pipe_are_published_before_it_is_closed(
    processes: Processes, motet: Motet, folder: Path
) -> None:
    motet("topics", "create", "orders")
    tail = processes.start("tail", "orders", "--follow", "--json")
    publish = processes.start("publish", "orders", "--json", stdin=True)
    assert publish.stdin is not None
    publish.stdin.write(order(1) + b"\n")
    publish.stdin.flush()

    assert first_line(tail)["event"]["eventId"] == "order-1"  # type: ignore[index]
    publish.stdin.write(order(2))
    out, _ = publish.communicate()
    assert json.loads(out)["published"] == 2


def test_ctrl_c_ends_publish_with_130(processes: Processes, motet: Motet, folder: Path) -> None:
    motet("topics", "create", "orders")
    tail = processes.start("tail", "orders", "--follow", "--json")
    publish = processes.start("publish", "orders", stdin=True)
    assert publish.stdin is not None
    publish.stdin.write(order(1) + b"\n")
    publish.stdin.flush()
    assert first_line(tail)["offset"] == 0

    publish.send_signal(signal.SIGINT)

    assert publish.wait() == 130


def test_dead_letters_are_redriven_into_a_mended_handler(
    processes: Processes, motet: Motet, folder: Path, shop: Path
) -> None:
    orders = [order(1), order(2, wish="refuse"), order(3)]
    (folder / "orders.jsonl").write_bytes(b"\n".join(orders))
    motet("publish", "orders", "orders.jsonl")
    assert processes.start("worker", "shop:app", "--until-idle").wait() == 0
    [letter] = motet("dlq", "list", "--json").json["dead_letters"]  # type: ignore[misc]
    assert letter["error_info"]["code"] == "ODD"
    assert len(motet("tail", "taken", "--json").lines) == 2

    redriven = motet("dlq", "redrive", "--group", "shop", "--json").json
    [group] = motet("groups", "--json").json["groups"]  # type: ignore[misc]
    shop.write_text(shop.read_text().replace('b"refuse"', 'b"never"'))
    assert processes.start("worker", "shop:app", "--until-idle").wait() == 0

    assert redriven == {"redriven": 1, "left": 0, "closed": 0}
    assert group["parked"] == 1
    assert len(motet("tail", "taken", "--json").lines) == 3
    [letter] = motet("dlq", "list", "--json").json["dead_letters"]  # type: ignore[misc]
    assert letter["status"] == "RETRIED"
