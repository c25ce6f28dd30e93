"""Tables, from the numbered SQL files."""

import re
from pathlib import Path
from typing import NamedTuple

from scripts.reference.source import code, table

_FOLDER = Path(__file__).parents[2] / "src" / "motet" / "drivers" / "sqlite" / "migrations"
_MADE = re.compile(
    r"(?P<comment>(?:^--[^\n]*\n)*)^CREATE (?P<kind>TABLE|VIEW) (?P<name>\w+)(?P<body>.*?;)$",
    re.MULTILINE | re.DOTALL,
)
_COLUMN = re.compile(r'^  ("?\w+"?) ([A-Z]+)\b(.*)$')
_INDEX = re.compile(r"^CREATE (?:UNIQUE )?INDEX \w+ ON (\w+) (.*);$", re.MULTILINE)
_CONSTRAINTS = ("PRIMARY", "UNIQUE", "CONSTRAINT", "CHECK", "FOREIGN")


class Made(NamedTuple):
    """A table or a view."""

    kind: str
    name: str
    comment: str
    body: str


def _tables() -> str:
    steps = sorted(_FOLDER.glob("*.sql"))
    text = "\n".join(step.read_text(encoding="utf-8") for step in steps)
    indexes: dict[str, list[str]] = {}
    for name, columns in _INDEX.findall(text):
        indexes.setdefault(name, []).append(columns)
    made = [
        Made(m["kind"], m["name"], _prose(m["comment"]), m["body"]) for m in _MADE.finditer(text)
    ]
    names = "\n".join(f"- [`{each.name}`](#{each.name})" for each in made)
    sections = [_section(each, indexes.get(each.name, [])) for each in made]
    return "\n\n".join([names, *sections])


def _prose(comment: str) -> str:
    return " ".join(line.removeprefix("--").strip() for line in comment.splitlines())


def _section(made: Made, indexes: list[str]) -> str:
    lines = [f"## {made.name}", ""]
    if made.comment:
        lines += [made.comment, ""]
    if made.kind == "VIEW":
        return "\n".join([*lines, "```sql", f"CREATE VIEW {made.name}{made.body}", "```"])
    body = made.body.splitlines()
    columns = [column for line in body if (column := _column(line))]
    lines += [table(("column", "type", "rule", "what it is"), columns)]
    rules = [code(line.strip().rstrip(",")) for line in body if _constraint(line)]
    rules += [f"index {code(index)}" for index in indexes]
    return "\n".join([*lines, *([""] if rules else []), *(f"- {rule}" for rule in rules)])


def _constraint(line: str) -> bool:
    return line.strip().startswith(_CONSTRAINTS)


def _column(line: str) -> tuple[str, str, str, str] | None:
    found = _COLUMN.match(line)
    if found is None or _constraint(line):
        return None
    name, kind, rest = found.groups()
    rule, _, comment = rest.partition("--")
    rule = rule.strip().rstrip(",")
    if rule.count("(") != rule.count(")"):
        rule = "NOT NULL, a new UUID unless given"
    return code(name.strip('"')), kind, code(rule), comment.strip()


PARTS = {"tables": _tables}
