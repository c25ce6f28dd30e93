"""Every command as it is typed, in this process, on an SQLite file."""

import base64
from pathlib import Path

import pytest

from motet.backends import DEFAULT_URL, connect
from motet.core.codec import encode
from motet.core.event import Partition
from motet.core.outcome import Commit, DeadLetter, ErrorInfo, Park
from motet.testing import make_events
from tests.integration.cli.conftest import Motet, order, write_orders

PARTITION = Partition("orders", 0)


@pytest.fixture
async def failed(folder: Path) -> None:
    """Five orders of which a group has done two, parked one and given up one."""
    async with connect(DEFAULT_URL) as backends:
        await backends.transport.create_topic("orders", partitions=1)
        await backends.transport.publish("orders", make_events(5, keys=5))
        records = (await backends.transport.read(PARTITION, offset=0, limit=5)).records
        letter = DeadLetter(
            topic="orders",
            partition=0,
            offset=1,
            group="stock",
            key=records[1].event.key,
            event_type="thing.happened",
            value=encode(records[1].event),
            error=ErrorInfo("TimeoutError", "no answer from http://ann:geheim@bank", "the stack"),
            attempts=5,
        )
        await backends.store.commit(
            Commit(
                group="stock",
                partition=PARTITION,
                version=0,
                next=3,
                parks=(Park(records[2], due_us=2**60),),
                dead=(letter,),
            )
        )


def test_a_file_is_published_once_however_often_it_is_given(motet: Motet, folder: Path) -> None:
    write_orders(folder / "orders.jsonl", 2500)

    first = motet("publish", "orders", "orders.jsonl", "--json")
    again = motet("publish", "orders", "orders.jsonl", "--json")

    assert (first.code, first.json["published"], first.json["duplicates"]) == (0, 2500, 0)
    assert (again.code, again.json["published"], again.json["duplicates"]) == (0, 0, 2500)
    assert first.json["size_bytes"] == (folder / "orders.jsonl").stat().st_size


def test_lines_that_are_no_events_are_named_and_kept(motet: Motet, folder: Path) -> None:
    bad = b'{"eventType": 7, "payload": "\xff"}'
    (folder / "mixed.jsonl").write_bytes(b"\n".join([order(1), bad, b"", b"nonsense", order(2)]))

    answer = motet("publish", "orders", "mixed.jsonl", "--json")
    letters = motet("dlq", "list", "--topic", "orders", "--json").json["dead_letters"]
    kept = motet("dlq", "show", str(letters[0]["id"]), "--json").json  # type: ignore[index]

    assert answer.code == 1
    assert (answer.json["published"], answer.json["refused"]) == (2, 2)
    assert [line["line"] for line in answer.json["refused_lines"]] == [2, 4]  # type: ignore[attr-defined]
    assert answer.err.splitlines()[0].startswith("line 2: ")
    assert answer.err.splitlines()[-1].startswith("motet: 2 lines refused; see `motet dlq list")
    assert kept["original_event"] == {"base64": base64.b64encode(bad).decode()}


def test_strict_stops_at_the_first_line_that_is_no_event(motet: Motet, folder: Path) -> None:
    lines = [order(n) for n in range(1500)] + [b"nonsense"] + [order(n) for n in range(1500, 4000)]
    (folder / "mixed.jsonl").write_bytes(b"\n".join(lines))

    answer = motet("publish", "orders", "mixed.jsonl", "--strict", "--json")

    assert (answer.code, answer.json["published"]) == (1, 1500)
    assert "stopped at line 1501" in answer.err
    assert motet("dlq", "list", "--json").json["dead_letters"] == []


def test_a_file_that_is_not_there_is_named(motet: Motet) -> None:
    answer = motet("publish", "orders", "gone.jsonl")

    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("motet: cannot read 'gone.jsonl': ")
    assert len(answer.err.splitlines()) == 1


def test_tail_shows_the_last_events_in_order_of_time(motet: Motet, folder: Path) -> None:
    motet("publish", "orders", str(write_orders(folder / "o.jsonl", 50)))

    shown = motet("tail", "orders", "-n", "3", "--json").lines

    assert [line["event"]["eventId"] for line in shown] == ["order-47", "order-48", "order-49"]  # type: ignore[index]
    assert all({"topic", "partition", "offset", "event"} == set(line) for line in shown)


def test_tail_from_the_start_shows_all_or_the_first(motet: Motet, folder: Path) -> None:
    motet("publish", "orders", str(write_orders(folder / "o.jsonl", 50)))

    everything = motet("tail", "orders", "--from", "start", "--json").lines
    some = motet("tail", "orders", "--from", "start", "-n", "2", "--json").lines

    assert len(everything) == 50
    assert everything[:2] == some


def test_tail_from_an_offset_of_a_partition(motet: Motet, folder: Path) -> None:
    motet("topics", "create", "orders", "--partitions", "2")
    motet("publish", "orders", str(write_orders(folder / "o.jsonl", 50)))

    shown = motet("tail", "orders", "--partition", "1", "--from", "5", "--json").lines

    assert {line["partition"] for line in shown} == {1}
    assert [line["offset"] for line in shown][:3] == [5, 6, 7]


def test_tail_from_the_end_shows_nothing_old(motet: Motet, folder: Path) -> None:
    motet("publish", "orders", str(write_orders(folder / "o.jsonl", 5)))

    assert motet("tail", "orders", "--from", "end").out == ""


def test_tail_shows_only_the_types_asked_for(motet: Motet, folder: Path) -> None:
    other = order(99).replace(b"order.created", b"payment.made")
    (folder / "o.jsonl").write_bytes(b"\n".join([order(1), other, order(2)]))
    motet("publish", "orders", "o.jsonl")

    shown = motet("tail", "orders", "--type", "payment.*", "--json").lines

    assert [line["event"]["eventId"] for line in shown] == ["order-99"]  # type: ignore[index]


def test_what_an_event_holds_cannot_steer_the_terminal(motet: Motet, folder: Path) -> None:
    (folder / "o.jsonl").write_bytes(order(1, note="\x9b31mred \u202e"))
    motet("publish", "orders", "o.jsonl")

    shown = motet("tail", "orders").out

    assert r"\x9b31mred \u202e" in shown
    assert "\x9b" not in shown


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["tail", "oders"], "there is no topic 'oders', did you mean 'orders'?; `motet topics`"),
        (["tail", "orders", "--partition", "8"], "'orders' has no partition 8; it has 0 to 7"),
        (["tail", "orders", "-n", "-1"], "-n -1: a number of events is 0 or more"),
        (["tail", "orders", "--from", "soon"], "invalid value"),
        (["topics", "describe", "x"], "there is no topic 'x'"),
        (["topics", "create", "orders", "--partitions", "3"], "8 partitions"),
        (["topics", "create", "new", "--partitions", "0"], "a topic has at least one"),
        (["topics", "create", "new", "--retention", "soon"], "write it like 90s, 15m, 12h or 7d"),
        (["dlq", "show", "7"], "there is no dead letter 7; `motet dlq list` shows them"),
        (["dlq", "show", "x"], "'x' is no id of a dead letter"),
        (["dlq", "redrive"], "name dead letters by id"),
        (["dlq", "archive", "--all"], "add --yes to archive all of them"),
        (["dlq", "list", "--status", "old"], "choose from: \"new\", \"reviewed\""),
        (["groups", "--url", "mongo://ann:geheim@h"], "unknown scheme 'mongo'"),
        (["groups", "--url", "memory://"], "lives inside one process"),
        (["topics", "create", "x", "--url", "memory://"], "lives inside one process"),
        (["tail", "orders", "--from", "-5"], "--from -5: an offset is 0 or more"),
        (["publish", "orders", "--url", "sqlite:///no/such/folder/x.db"], "does not exist"),
        (["worker", "nowhere:app"], "there is no module 'nowhere'"),
        (["run", "nowhere"], "write MODULE:NAME"),
        (["worker", "nowhere:app", "--drain", "soon"], "write it like 90s"),
        (["groups", "--url", "sqlite:///gone.db"], "gone.db'; go to the program's folder"),
        (["grops"], "there is no command 'grops', did you mean 'groups'?"),
        (["topics", "craete", "x"], "does not take 'craete', did you mean 'create'?"),
        (["topics", "--jsn"], "unknown option: --jsn, did you mean --json?"),
        (["publish"], "TOPIC requires an argument; see `motet publish --help`"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_in_one_line(
    motet: Motet, folder: Path, tokens: list[str], said: str
) -> None:
    motet("publish", "orders", str(write_orders(folder / "o.jsonl", 1)))

    answer = motet(*tokens)

    assert answer.code in (1, 2)
    assert answer.out == ""
    assert answer.err.startswith("motet: ")
    assert len(answer.err.splitlines()) == 1
    assert said.lower() in answer.err.lower()
    assert "geheim" not in answer.err


@pytest.mark.parametrize(
    ("tokens", "code"),
    [(["tail", "oders"], 1), (["dlq", "show", "7"], 1), (["grops"], 2), (["groups", "--x"], 2)],
)
def test_failures_are_told_from_misuse(
    motet: Motet, folder: Path, tokens: list[str], code: int
) -> None:
    motet("publish", "orders", str(write_orders(folder / "o.jsonl", 1)))

    assert motet(*tokens).code == code


def test_a_traceback_is_shown_when_asked_for_without_secrets(motet: Motet) -> None:
    answer = motet("groups", "--debug", "--url", "mongo://ann:geheim@h")

    assert "Traceback (most recent call last)" in answer.err
    assert answer.err.splitlines()[-1].startswith("motet: 'mongo://ann:***@h'")
    assert "geheim" not in answer.err


def test_topics_are_made_listed_and_described(motet: Motet, folder: Path) -> None:
    made = motet("topics", "create", "orders", "--partitions", "3", "--retention", "7d", "--json")
    again = motet("topics", "create", "orders", "--partitions", "3", "--retention", "12h")
    motet("publish", "orders", str(write_orders(folder / "o.jsonl", 10)))
    listed = motet("topics", "--json").json["topics"]
    described = motet("topics", "describe", "orders", "--json").json

    assert (made.json["partitions"], made.json["retention_s"]) == (3, 604_800)
    assert again.out == "orders: 3 partitions, kept 12h.\n"
    assert listed == [described]
    assert described["events"] == 10
    assert sum(described["ends"]) == 10  # type: ignore[call-overload]


@pytest.mark.usefixtures("failed")
def test_groups_show_lag_and_what_is_parked(motet: Motet) -> None:
    [group] = motet("groups", "--json").json["groups"]  # type: ignore[misc]

    assert (group["group"], group["lag"], group["parked"]) == ("stock", 2, 1)
    assert group["partitions"] == [
        {
            "group": "stock",
            "topic": "orders",
            "partition": 0,
            "next": 3,
            "end": 5,
            "lag": 2,
            "parked": 1,
        }
    ]
    assert motet("groups", "--group", "nobody", "--json").json == {"groups": []}
    assert "stock: 2 behind, 1 parked" in motet("groups", "--topic", "orders").out


@pytest.mark.usefixtures("failed")
def test_a_dead_letter_is_listed_shown_redriven_and_archived(motet: Motet) -> None:
    [listed] = motet("dlq", "list", "--json").json["dead_letters"]  # type: ignore[misc]
    shown = motet("dlq", "show", str(listed["id"]))
    redriven = motet("dlq", "redrive", "--group", "stock", "--json").json
    again = motet("dlq", "redrive", str(listed["id"]), "--json").json
    archived = motet("dlq", "archive", str(listed["id"]), "--json").json

    assert listed["error_info"]["message"] == "no answer from http://ann:***@bank"
    assert "the stack" in shown.out
    assert "geheim" not in shown.out
    assert '"eventType":"thing.happened"' in shown.out
    assert redriven == {"redriven": 1, "left": 0, "closed": 0}
    assert again == {"redriven": 0, "left": 0, "closed": 1}
    assert archived == {"archived": 0, "closed": 1}


def test_a_list_of_dead_letters_goes_on_where_the_last_page_ended(
    motet: Motet, folder: Path
) -> None:
    (folder / "bad.jsonl").write_text("x\n" * 5)
    motet("publish", "orders", "bad.jsonl")

    first = motet("dlq", "list", "-n", "3", "--json").json
    rest = motet("dlq", "list", "-n", "3", "--after", str(first["next"]), "--json").json

    ids = [letter["id"] for page in (first, rest) for letter in page["dead_letters"]]  # type: ignore[attr-defined]
    assert (len(ids), len(set(ids)), rest["next"]) == (5, 5, None)


def test_what_the_edge_refused_cannot_be_redriven_but_archived(motet: Motet, folder: Path) -> None:
    (folder / "bad.jsonl").write_text("x\n" * 3)
    motet("publish", "orders", "bad.jsonl")

    redriven = motet("dlq", "redrive", "--all", "--yes")
    archived = motet("dlq", "archive", "--all", "--yes", "--notes", "typos", "--json").json
    [letter, *_] = motet("dlq", "list", "--status", "archived", "--json").json["dead_letters"]  # type: ignore[misc]

    assert redriven.code == 0
    assert "0 dead letters redriven." in redriven.out
    assert "3 dead letters left" in redriven.out
    assert archived == {"archived": 3, "closed": 0}
    assert letter["resolution_notes"] == "typos"


def test_tables_fit_into_80_columns_on_a_terminal(
    motet: Motet, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.jsonl").write_text('{"eventType": "x", "timestamp": "yesterday"}\n')
    motet("publish", "a-topic-with-quite-a-long-name-that-says-much", "bad.jsonl")
    monkeypatch.setattr("motet.cli.console.Console.width", 80)

    for tokens in (["dlq", "list"], ["topics"], ["groups"], ["doctor"]):
        assert max(map(len, motet(*tokens).out.splitlines())) <= 80


def test_the_doctor_finds_a_new_folder_well(motet: Motet) -> None:
    answer = motet("doctor", "--json")

    assert answer.code == 0
    assert answer.json["ok"] is True


@pytest.mark.usefixtures("failed")
def test_the_doctor_looks_at_everything(motet: Motet) -> None:
    answer = motet("doctor", "--json")

    checks = {check["name"]: check for check in answer.json["checks"]}  # type: ignore[attr-defined]
    assert answer.code == 0
    assert {"python", "sqlite", "durability", "file", "integrity", "schema", "wal"} < set(checks)
    assert checks["lag"]["state"] == "warn"
    assert "TimeoutError 1" in checks["dead letters"]["found"]
    assert "exactly once" in checks["guarantees"]["found"]
    assert all(check["advice"] for check in checks.values() if check["state"] != "ok")


def test_the_doctor_fails_on_a_damaged_file(motet: Motet, folder: Path) -> None:
    (folder / "bad.db").write_bytes(b"no database at all" * 1000)

    answer = motet("doctor", "--url", "sqlite:///bad.db")

    assert answer.code == 1
    assert "fail  integrity" in answer.out


def test_secrets_of_the_url_are_masked_by_the_doctor(motet: Motet) -> None:
    answer = motet("doctor", "--url", "mongo://ann:geheim@h", "--json")

    assert answer.code == 1
    assert answer.json["url"] == "mongo://ann:***@h"
    assert "geheim" not in answer.out + answer.err
