"""The command `motet`: its commands, and how any of them ends."""

import sys
import traceback
from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError, UnknownCommandError, UnusedCliTokensError

import motet
from motet.cli.console import Console, silence
from motet.cli.help import PlainHelp
from motet.cli.names import nearest
from motet.core.errors import ConfigError, MotetError

DONE = 0
FAILED = 1
MISUSED = 2
INTERRUPTED = 130  # 128 + SIGINT

COMMANDS = {
    "run": "Run an application: API, workers and relay in one process.",
    "worker": "Run an application's workers and relay, without the API.",
    "bridge": "Copy events from one transport to another.",
    "publish": "Publish events from a file or from standard input.",
    "tail": "Show a topic's events.",
    "topics": "List, create and describe topics.",
    "groups": "Show how far consumer groups are behind.",
    "dlq": "List, show, redrive and archive dead letters.",
    "demo": "Run the order pipeline on real purchases.",
    "bench": "Measure this machine.",
    "doctor": "Check that everything Motet needs is in order.",
}
"""Every command with its one line of help; each lives in the module of its name."""

_HELP = """\
An event-driven platform for AI agents: events in order, effects exactly once.

Example: motet demo

Every command takes --help. Results go to standard output, the rest to standard error.
Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted."""


def program(called: str = "") -> App:
    """Return the command line. No command's module is imported before it is called for.

    The command `called` describes itself; of the others the summary is enough.
    """
    app = App(
        name="motet",
        help=_HELP,
        help_format="plaintext",
        help_formatter=PlainHelp(),
        version=motet.__version__,
        version_flags=["--version"],
        result_action="return_value",
    )
    for position, (name, summary) in enumerate(COMMANDS.items()):
        text = None if name == called else summary
        app.command(f"motet.cli.{name}:app", name=name, help=text, sort_key=position)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Every error is one line that says what to do."""
    tokens = list(sys.argv[1:] if argv is None else argv)
    console = Console()
    try:
        code = _run(tokens)
        console.flush()
    except CycloptsError as err:
        console.error(_usage(err))
        return MISUSED
    except BrokenPipeError:
        silence()
        return DONE  # the reader has all it wanted: `motet tail orders | head`
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as err:  # noqa: BLE001 - the outermost edge: no traceback unless asked for
        return _failed(console, err, debug="--debug" in tokens)
    return code


def _run(tokens: list[str]) -> int:
    """Run a command. Of a group of tasks that failed, what the first failed from is raised."""
    called = program(tokens[0] if tokens else "")
    try:
        found = called(tokens, print_error=False, exit_on_error=False)
    except ExceptionGroup as group:
        first = _first(group)
    else:
        return found if isinstance(found, int) else DONE
    raise first  # out here: inside, the group would take the place of its own context


def _usage(err: CycloptsError) -> str:
    command = " ".join(["motet", *(err.command_chain or ())])
    return f"{_said(err, command)}; see `{command} --help`"


def _said(err: CycloptsError, command: str) -> str:
    token = (err.unused_tokens or [""])[0]
    if isinstance(err, UnknownCommandError):  # its own text would import every command
        return f"there is no command {token!r}{nearest(token, list(COMMANDS))}"
    if isinstance(err, UnusedCliTokensError):
        names = [name for name in (err.app or ()) if not name.startswith("-")]
        return f"`{command}` does not take {token!r}{nearest(token, names)}"
    text = str(err).strip().removesuffix(".").replace(". Did you", ", did you")
    return text[:1].lower() + text[1:]


def _failed(console: Console, err: Exception, *, debug: bool) -> int:
    if debug:
        console.traceback("".join(traceback.format_exception(err)))
    if isinstance(err, MotetError):
        console.error(str(err))
    elif isinstance(err, OSError):
        console.error(f"{_described(err)}; check the file and its permissions")
    else:
        hint = "" if debug else "; run it again with --debug for the traceback"
        console.error(f"{type(err).__name__}: {err}{hint}")
    return MISUSED if isinstance(err, ConfigError) else FAILED


def _first(group: ExceptionGroup) -> Exception:
    err: Exception = group
    while isinstance(err, ExceptionGroup):
        err = err.exceptions[0]
    return err


def _described(err: OSError) -> str:
    said = err.strerror or str(err)
    return f"{err.filename!r}: {said}" if err.filename else said
