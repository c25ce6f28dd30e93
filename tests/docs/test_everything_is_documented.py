"""What a user can name has its place in docs/reference."""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

import motet
import motet.testing
from motet import App, RetryPolicy, Settings
from motet.cli.program import COMMANDS, program
from motet.core import errors
from motet.core.envelope import WIRE
from motet.core.envelope import Limits as EventLimits
from motet.core.errors import MotetError
from motet.drivers.sqlite.connection import Location
from motet.handlers import Options
from motet.server import Limits
from motet.telemetry import FAMILIES, Kind
from tests.docs.pages import ROOT, pages

REFERENCE = ROOT / "docs" / "reference"
SOURCE = ROOT / "src" / "motet"


def _page(name: str) -> str:
    return (REFERENCE / name).read_text()


def _missing(names: Iterable[str], page: str) -> list[str]:
    """Names that are neither code on a page, nor a heading, nor what a line begins with."""
    text = _page(page)
    places = r"`{0}`", r"^#+ `?{0}`?$", r"^[\s$|`]*{0}(?![\w-])", r", {0}(?![\w-])"
    return sorted(
        name
        for name in names
        if not any(re.search(p.format(re.escape(name)), text, re.MULTILINE) for p in places)
    )


def _source() -> str:
    return "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))


def test_every_command_and_option_is_documented() -> None:
    assert _missing(_commands(), "cli.md") == []
    assert _missing(_options(), "cli.md") == []


def _commands() -> list[str]:
    names = [f"motet {name}" for name in COMMANDS]
    for name in COMMANDS:
        names += [f"motet {name} {sub}" for sub in _subcommands(name)]
    return names


def _subcommands(name: str) -> list[str]:
    return [sub for sub in program(name)[name] if not sub.startswith("-")]


def _options() -> set[str]:
    found: set[str] = set()
    for name in COMMANDS:
        command = program(name)[name]
        for each in (command, *(command[sub] for sub in _subcommands(name))):
            if each.default_command is not None:
                arguments = each.assemble_argument_collection()
                found.update(n for argument in arguments for n in argument.names)
    return {name for name in found if name.startswith("--")}


@pytest.mark.parametrize(
    "struct", [Settings, RetryPolicy, Limits, Location], ids=lambda struct: struct.__name__
)
def test_every_setting_is_documented(struct: type[msgspec.Struct]) -> None:
    names = [name for name in struct.__struct_fields__ if name != "path"]
    assert _missing(names, "settings.md") == []


def test_every_option_of_a_handler_is_documented() -> None:
    assert _missing(Options.__annotations__, "settings.md") == []


def test_every_environment_variable_is_documented() -> None:
    named = set(re.findall(r'"(MOTET_[A-Z_]+)"', _source()))
    read = set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', _source()))
    assert {"MOTET_URL", "USER"} <= named | read
    assert _missing(named | read, "settings.md") == []


def test_every_metric_is_documented() -> None:
    names = [
        f"{family.name}_total" if family.kind is Kind.COUNTER else family.name
        for family in FAMILIES
    ]
    labels = {label for family in FAMILIES for label in family.labels}
    assert _missing([*names, *labels], "metrics.md") == []


def test_every_metric_that_a_page_names_exists() -> None:
    named = {
        name
        for page in pages()
        for name in re.findall(r"\b(agent_\w+?)(?:_total|_bucket|_sum|_count)?\b", page.read_text())
    }
    families = {family.name for family in FAMILIES}
    labels = {label for family in FAMILIES for label in family.labels}
    assert named - families - labels - {"agent_events"} == set()  # the last is a table


def test_every_error_is_documented() -> None:
    names = [
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, MotetError)
    ]
    assert _missing(names, "errors.md") == []


def test_every_public_name_is_documented() -> None:
    public = [name for name in motet.__all__ if name not in vars(errors)]
    assert _missing([*public, *motet.testing.__all__], "python.md") == []


def test_every_way_to_declare_a_handler_is_documented() -> None:
    ways = [f"app.{name}" for name in vars(App("any")) if name not in ("name", "handlers")]
    ways = [way for way in ways if "._" not in way]
    assert "app.on" in ways
    assert _missing(ways, "python.md") == []


def test_every_member_and_limit_of_an_event_is_documented() -> None:
    assert _missing([*WIRE.values(), *EventLimits.__struct_fields__], "events.md") == []


def test_every_table_and_column_is_documented() -> None:
    migrations = Path(SOURCE / "drivers" / "sqlite" / "migrations").glob("*.sql")
    sql = "\n".join(path.read_text() for path in migrations)
    tables = re.findall(r"^CREATE (?:TABLE|VIEW) (\w+)", sql, re.MULTILINE)
    columns = re.findall(r'^  "?(\w+)"? [A-Z]+\b', sql, re.MULTILINE)
    assert "dead_letter_queue" in tables
    assert "event_topic" in columns
    assert _missing({*tables, *columns} - {"PRIMARY", "CONSTRAINT"}, "tables.md") == []


def test_every_operation_of_the_api_is_documented() -> None:
    paths = set(re.findall(r'path="(/[^"]*)"', _source()))
    assert "/v1/events" in paths
    page = _page("http.md")
    assert [path for path in paths if f" {path}`" not in page] == []


def test_what_is_not_documented_is_noticed() -> None:
    assert _missing(["max_records", "max_record", "nothing_of_ours"], "settings.md") == [
        "max_record",
        "nothing_of_ours",
    ]
