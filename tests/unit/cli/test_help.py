import inspect
import re
import shlex
import subprocess
import sys
from importlib.metadata import version

import pytest

import motet
from motet.cli import main
from motet.cli.program import COMMANDS, program


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = program(name)[name]
        subcommands = [sub for sub in command if not sub.startswith("-")]
        found += [(name,), *((name, sub) for sub in subcommands)]
    return found


@pytest.fixture(params=every_command(), ids=" ".join)
def tokens(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found = request.param
    assert isinstance(found, tuple)
    return found


def help_of(tokens: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main([*tokens, "--help"]) == 0
    return capsys.readouterr().out


def test_every_command_has_help_with_an_example_that_it_understands(
    tokens: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    said = help_of(tokens, capsys)

    usage, summary = said.split("\n\n")[:2]
    assert usage.startswith(f"Usage: motet {' '.join(tokens)}")
    assert len(summary) > 20
    [example] = re.findall(r"^Example: (motet .*)$", said, re.MULTILINE)
    words = shlex.split(example)[1:]
    assert tuple(words[: len(tokens)]) == tokens
    program(words[0]).parse_args(words, print_error=False, exit_on_error=False)


def test_every_option_is_explained(
    tokens: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command = program(tokens[0])
    for token in tokens:
        command = command[token]
    if command.default_command is None:
        return
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if argument.show:
            assert argument.parameter.help, argument.name


def test_a_command_with_json_output_says_what_is_in_it(
    tokens: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command = program(tokens[0])
    for token in tokens:
        command = command[token]
    if command.default_command is None:
        return
    doc = inspect.getdoc(command.default_command) or ""

    assert re.search(r"^JSON: .*(document|stream of lines|the topic)", doc, re.MULTILINE)
    assert "--json" in help_of(tokens, capsys)


def test_help_fits_into_80_columns(
    tokens: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    assert max(map(len, help_of(tokens, capsys).splitlines())) <= 80


def run(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_the_list_of_commands_loads_none_of_them() -> None:
    script = (
        "import sys; from motet.cli import main; main(['--help']);"
        "print(*sys.modules, file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    loaded = set(done.stderr.split())
    assert not loaded & {f"motet.cli.{name}" for name in COMMANDS}
    assert not loaded & {"apsw", "starlette", "uvicorn", "structlog", "prometheus_client"}


def test_looking_around_loads_neither_a_server_nor_a_progress_bar() -> None:
    script = (
        "import sys; from motet.cli import main; main(['groups']);"
        "print(*sys.modules, file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    loaded = set(done.stderr.split())
    assert not loaded & {"rich.progress", "starlette", "uvicorn", "structlog", "prometheus_client"}


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == motet.__version__ == version("motet")
