import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.hostile import Answer, Case, Ledger, cases

ACCEPTED = b'{"topic":"events","accepted":2,"duplicates":0,"ids":["a","b"]}'
NAMES_ITEM_1 = b'{"status":422,"title":"t","errors":[{"index":1,"detail":"d"}]}'


def test_hostile_bodies_are_taken_or_named_and_the_log_has_what_was_taken() -> None:
    program = Path(__file__).with_name("hostile.py")

    ran = subprocess.run(
        [sys.executable, program, "--count", "600", "--seed", "5", "--backend", "memory://"],
        capture_output=True,
        text=True,
        timeout=50,
    )

    report = json.loads(ran.stdout)
    assert (report["faults"], ran.returncode) == ([], 0)
    assert report["events_in_the_log"] > 100
    assert report["items_refused_by_name"] > 100


def test_the_same_seed_gives_the_same_bodies() -> None:
    assert list(cases(7, 50)) == list(cases(7, 50))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, "application/problem+json", b"{}"),
        Answer(0, "", b""),
        Answer(
            422, "text/plain", b'{"status":422,"title":"t","errors":[{"index":1,"detail":"d"}]}'
        ),
        Answer(422, "application/problem+json", b"not json"),
        Answer(422, "application/problem+json", b'{"status":422,"title":"t","errors":[]}'),
        Answer(422, "application/problem+json", NAMES_ITEM_1.replace(b"1,", b"0,")),
        Answer(202, "application/json", ACCEPTED),
    ],
)
def test_an_answer_that_should_not_be_is_noticed(answer: Answer) -> None:
    ledger = Ledger()

    ledger.enter(0, Case("/v1/events", {}, b"", bad=frozenset({1})), answer)

    assert ledger.faults


@pytest.mark.parametrize(
    "logged",
    [
        {("events", "a"): 1},
        {("events", "a"): 1, ("events", "b"): 2},
        {("events", "a"): 1, ("events", "b"): 1, ("events", "c"): 1},
        {("events", "a"): 1, ("orders", "b"): 1},
    ],
)
def test_a_log_that_differs_from_what_was_accepted_is_noticed(logged) -> None:
    ledger = Ledger()
    ledger.enter(0, Case("/v1/events", {}, b""), Answer(202, "application/json", ACCEPTED))

    ledger.compare(Counter(logged))

    assert ledger.faults
