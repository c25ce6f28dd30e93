"""`motet bridge` between files: resumed, killed, both ways at once, and refused."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Motet, Processes, order, write_orders

A, B = "sqlite:///a.db", "sqlite:///b.db"
THERE = (A, B, "--topic", "orders")
BACK = (B, A, "--topic", "orders")


def tail(motet: Motet, url: str, topic: str = "orders") -> list[dict[str, object]]:
    answer = motet("tail", topic, "--url", url, "--from", "start", "--json")
    return [line["event"] for line in answer.lines] if answer.code == 0 else []


def copied(motet: Motet) -> int:
    topics = json.loads(motet("topics", "--url", B, "--json").out or "{}")
    return sum(topic["events"] for topic in topics["topics"]) if topics else 0


def wait_for(condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come to pass"
        os.sched_yield()


@pytest.fixture
def orders(folder: Path, motet: Motet) -> Path:
    write_orders(folder / "orders.jsonl", 100)
    motet("publish", "orders", "orders.jsonl", "--url", A)
    return folder


@pytest.mark.usefixtures("orders")
def test_what_is_there_is_copied_and_the_next_run_copies_what_has_come_since(
    motet: Motet, folder: Path
) -> None:
    first = motet("bridge", *THERE, "--until-idle")
    (folder / "more.jsonl").write_bytes(order(100))
    motet("publish", "orders", "more.jsonl", "--url", A)
    second = motet("bridge", *THERE, "--until-idle")

    assert first.code == second.code == 0
    assert "100 events copied" in first.out
    assert "1 event copied" in second.out
    assert len(tail(motet, B)) == 101


@pytest.mark.usefixtures("orders")
def test_json_says_what_it_is_and_what_it_did(motet: Motet) -> None:
    lines = motet("bridge", *THERE, "--until-idle", "--json").lines

    assert (lines[0]["from"], lines[0]["to"], lines[0]["topics"]) == (A, B, ["orders"])
    assert (lines[-1]["copied"], lines[-1]["new"], lines[-1]["refused"]) == (100, 100, 0)


def test_events_are_selected_and_keyed_by_expressions(motet: Motet, folder: Path) -> None:
    given = b"\n".join(order(n, total=n, sessionId=f"s{n % 2}") for n in range(10))
    (folder / "orders.jsonl").write_bytes(given)
    motet("publish", "orders", "orders.jsonl", "--url", A)

    select = ("--select", "eventType == 'order.created' && payload.total > `6`")
    motet("bridge", *THERE, *select, "--key-by", "session", "--to-topic", "large", "--until-idle")

    assert sorted((e["eventId"], e["key"]) for e in tail(motet, B, "large")) == [
        ("order-7", "s1"),
        ("order-8", "s0"),
        ("order-9", "s1"),
    ]


def test_events_are_published_under_the_key_of_an_expression(motet: Motet, folder: Path) -> None:
    given = [order(1, sessionId="s1"), order(2), order(3, sessionId=["no", "key"])]
    (folder / "orders.jsonl").write_bytes(b"\n".join(given))

    answer = motet("publish", "orders", "orders.jsonl", "--url", A, "--key-by", "session")

    assert answer.code == 1
    assert "line 3: --key-by 'payload.sessionId' gives an array" in answer.err
    assert {e["eventId"]: e["key"] for e in tail(motet, A)} == {
        "order-1": "s1",
        "order-2": "customer-2",
    }


@pytest.mark.usefixtures("orders")
def test_what_is_refused_is_listed_and_the_exit_code_says_so(motet: Motet) -> None:
    answer = motet("bridge", *THERE, "--key-by", "payload", "--until-idle")
    letters = motet("dlq", "list", "--url", "sqlite:///.motet/bridge.db", "--json")

    assert answer.code == 1
    assert "100 events refused; see `motet dlq list --url sqlite:///.motet/bridge.db`" in answer.err
    assert "ExpressionError" in letters.out


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((A, B), "name what is to be copied: --topic NAME"),
        ((A, "sqlite:///./a.db", "--topic", "t"), "both sides are the same transport"),
        ((A, "mqtt://h/a", "--topic", "t"), "is a source: a bridge cannot lead there"),
        (("mqtt://h/a", B, "--topic", "t"), "a source has no topics"),
        ((*THERE, "--select", "a ="), "marked by >>> here: a >>>="),
        ((*THERE, "--to-name", "a,b"), "is no name for a transport"),
        ((*THERE, "--to-topic", "no topic"), "is no topic"),
        (("mqtt://h/a?qos=2", B), "acknowledged before it is durable here"),
        (("ftp://h/a", B, "--topic", "t"), "unknown scheme 'ftp'"),
        ((*THERE, "--store", "redis://h"), "is no store"),
        ((*THERE, "--ttl", "1h"), "--ttl is for --as cache"),
        ((*THERE, "--as", "cache"), "is no cache: name a Redis"),
    ],
)
def test_what_makes_no_sense_is_refused(
    motet: Motet, folder: Path, tokens: tuple[str, ...], message: str
) -> None:
    answer = motet("bridge", *tokens, "--until-idle")

    assert answer.code == 2
    assert message in answer.err


@pytest.mark.usefixtures("orders")
def test_one_group_of_one_store_cannot_read_two_transports(motet: Motet) -> None:
    motet("bridge", *THERE, "--group", "g", "--until-idle")

    answer = motet("bridge", "sqlite:///c.db", B, "--topic", "orders", "--group", "g")

    assert answer.code == 2
    assert "group 'g' of this store belongs to a bridge from sqlite-" in answer.err


@pytest.mark.kill
def test_a_killed_bridge_goes_on_where_it_was_and_loses_nothing(
    motet: Motet, processes: Processes, folder: Path
) -> None:
    for batch in range(3):
        more = b"\n".join(order(n) for n in range(batch * 5000, (batch + 1) * 5000))
        (folder / "orders.jsonl").write_bytes(more)
        motet("publish", "orders", "orders.jsonl", "--url", A)
        before = copied(motet)
        bridge = processes.start("bridge", *THERE, "--json")
        wait_for(lambda before=before: copied(motet) > before)
        bridge.send_signal(signal.SIGKILL)
        bridge.communicate()

    motet("bridge", *THERE, "--until-idle")

    there = [event["eventId"] for event in tail(motet, B)]
    assert len(there) == len(set(there)) == 15_000
    _in_order(motet)


@pytest.mark.slow
@pytest.mark.usefixtures("orders")
def test_bridges_both_ways_have_each_event_once_on_both_sides_and_come_to_rest(
    motet: Motet, processes: Processes, folder: Path
) -> None:
    others = [order(n) for n in range(1000, 1100)]
    (folder / "others.jsonl").write_bytes(b"\n".join(others))
    motet("publish", "orders", "others.jsonl", "--url", B)
    running = [processes.start("bridge", *way, "--json") for way in (THERE, BACK)]
    wait_for(lambda: min(len(tail(motet, url)) for url in (A, B)) >= 200)
    for process in running:
        process.send_signal(signal.SIGTERM)
    ends = [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]

    for way in (THERE, BACK):
        motet("bridge", *way, "--until-idle")
    for url in (A, B):
        ids = [event["eventId"] for event in tail(motet, url)]
        assert len(ids) == len(set(ids)) == 200
    assert [end["copied"] for end in ends] == [100, 100]


def _in_order(motet: Motet) -> None:
    """Per key, the copies are in the order of the originals."""
    by_key: list[dict[object, list[object]]] = []
    for url in (A, B):
        found: dict[object, list[object]] = {}
        for event in tail(motet, url):
            found.setdefault(event["key"], []).append(event["eventId"])
        by_key.append(found)
    assert by_key[0] == by_key[1]
