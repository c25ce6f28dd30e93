"""Every command's `--help`, as it is shown in a terminal of 80 columns."""

import io
from collections.abc import Callable, Iterator, Mapping

from cyclopts import App
from rich.console import Console

from motet.cli.program import COMMANDS, program

_COMMON = "Common options:"


def commands() -> str:
    """A heading and the help of every command, without the options that all have."""
    return "\n\n".join(
        f"## {' '.join(['motet', *tokens])}\n\n```text\n{_without_common(help_of(tokens))}\n```"
        for tokens in every_command()
    )


def common_options() -> str:
    """The options that every command has."""
    return f"```text\n{_COMMON}{help_of(['doctor']).partition(_COMMON)[2].rstrip()}\n```"


def every_command() -> Iterator[list[str]]:
    """The tokens of every command, groups of commands before what is in them."""
    for name in COMMANDS:
        command = program(name)[name]
        yield [name]
        yield from ([name, sub] for sub in _subcommands(command))


def help_of(tokens: list[str]) -> str:
    """What `motet TOKENS --help` prints."""
    out = io.StringIO()
    console = Console(file=out, width=80, no_color=True)
    program(tokens[0]).help_print(tokens, console=console)
    return out.getvalue().rstrip()


def _subcommands(command: App) -> list[str]:
    names = [name for name in command if not name.startswith("-")]
    return sorted(names, key=lambda name: (command[name].sort_key or 0, name))


def _without_common(text: str) -> str:
    before, found, after = text.partition(_COMMON)
    rest = after.partition("\n\n")[2]  # the block ends at an empty line
    return (before.rstrip() + (f"\n\n{rest}" if found and rest else "")).rstrip()


PARTS: Mapping[str, Callable[[], str]] = {"commands": commands, "common options": common_options}
