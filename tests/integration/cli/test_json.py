"""Whatever `--json` prints is JSON whose members the command's help names."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Motet, write_orders

OPAQUE = {"event", "original_event", "outcomes"}
"""Members whose inside is not ours to name."""


def names(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if name not in OPAQUE:
                yield from names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names(inner)


def documented(motet: Motet, *tokens: str) -> None:
    command = [token for token in tokens[:2] if re.fullmatch("[a-z]+", token)]
    command = command if command[0] in ("topics", "dlq") else command[:1]
    answer = motet(*tokens, "--json")
    words = set(re.findall(r"\w+", motet(*command, "--help").out))
    if command == ["topics", "create"]:
        words |= set(re.findall(r"\w+", motet("topics", "describe", "--help").out))
    if command[0] == "dlq":
        words |= set(re.findall(r"\w+", motet("dlq", "list", "--help").out))
        words |= {"code", "message", "stack", "fingerprint"}  # of error_info, as in the article

    found = [json.loads(answer.out)] if answer.out.startswith("{\n") else answer.lines

    assert found
    assert set(names(found)) <= words


@pytest.mark.parametrize(
    "tokens",
    [
        ["publish", "orders", "orders.jsonl"],
        ["publish", "orders", "bad.jsonl"],
        ["tail", "orders"],
        ["topics"],
        ["topics", "describe", "orders"],
        ["topics", "create", "more"],
        ["groups"],
        ["dlq", "list"],
        ["dlq", "show", "1"],
        ["dlq", "redrive", "1"],
        ["dlq", "archive", "1"],
        ["doctor"],
        ["worker", "shop:app", "--until-idle"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("shop")
def test_json_has_the_members_that_the_help_names(
    motet: Motet, folder: Path, tokens: list[str]
) -> None:
    write_orders(folder / "orders.jsonl", 3)
    (folder / "bad.jsonl").write_text("{\n")
    motet("publish", "orders", "orders.jsonl")
    motet("publish", "orders", "bad.jsonl")
    motet("worker", "shop:app", "--until-idle")

    if tokens[0] == "worker":
        assert motet(*tokens, "--json").lines[0].keys() == {"app", "groups", "url", "pid"}
    else:
        documented(motet, *tokens)
