"""Pages of the documentation as programs: files to write, commands to type, output to expect.

A page may hold, and a test then does:

- a comment `<!-- file: shop.py from examples/snippets/shop.py -->` before a code block: the block
  is that file, to the letter, and is written as `shop.py` into the page's folder in its turn;
- a comment `<!-- from: examples/orders/pipeline.py -->` before a code block: the block stands in
  that file, to the letter;
- a `console` block: lines that begin with `$ ` are typed, one shell for the whole page, and so are
  lines that begin with `> ` below them; the lines after that are what has to come, where `...`
  stands for any text;
- a command that ends with `&`: the page goes on once the job has printed what stands below it.
  Jobs that are left at the end of the page are stopped;
- a command `sleep N; MORE`: if MORE does not print what it should, the machine is slow, and MORE is
  typed again, for ten times N seconds at most;
- the port 8080, which becomes one that is free, so that pages can run side by side;
- the port 6379, which becomes that of an empty Valkey: what a reader has at hand as Redis;
- a comment `<!-- page: needs curl; takes 90 s -->`: what has to be installed, and the time limit.
"""

import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from redis import Redis

from tests.docs.shell import Shell
from tests.services import valkey

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(
    r"(?:<!-- file: (?P<name>\S+) from (?P<source>\S+) -->\n+)?"
    r"^```(?P<language>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_PART = re.compile(
    r"<!-- from: (?P<source>\S+) -->\n+^```\w*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
_NOTE = re.compile(r"<!-- page: (.*?) -->")
_WAITING = re.compile(r"sleep ([\d.]+); ")
_PORT = "8080"
_REDIS = "6379"
_LIMIT_S = 90.0


class Included(NamedTuple):
    """A block that is a file of the repository."""

    name: str
    source: Path
    body: str


class Command(NamedTuple):
    """What is typed, and what has to come."""

    line: str
    expected: str


class Needs(NamedTuple):
    """What a page asks for before it can be followed."""

    programs: tuple[str, ...] = ()
    limit_s: float = _LIMIT_S

    @property
    def missing(self) -> list[str]:
        """Programs that are not installed."""
        return [name for name in self.programs if shutil.which(name) is None]


def pages() -> list[Path]:
    """Every page that a reader may follow."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def steps(page: Path) -> Iterator[Included | Command]:
    """Files to write and commands to type, in the order of the page."""
    for block in _BLOCK.finditer(page.read_text()):
        if block["name"]:
            yield Included(block["name"], ROOT / block["source"], block["body"])
        elif block["language"] == "console":
            for text in re.split(r"^\$ ", block["body"], flags=re.MULTILINE)[1:]:
                yield _command(text)


def included(page: Path) -> list[Included]:
    """The files that a page shows."""
    return [step for step in steps(page) if isinstance(step, Included)]


def quoted(page: Path) -> list[tuple[Path, str]]:
    """The files that a page shows parts of, each with the part."""
    return [(ROOT / part["source"], part["body"]) for part in _PART.finditer(page.read_text())]


def commands(page: Path) -> list[Command]:
    """The commands of a page."""
    return [step for step in steps(page) if isinstance(step, Command)]


def _command(text: str) -> Command:
    typed, *rest = text.splitlines()
    while rest and rest[0].startswith("> "):
        typed += "\n" + rest.pop(0).removeprefix("> ")
    return Command(typed, "\n".join(rest))


def needs(page: Path) -> Needs:
    """What the page's own comment says."""
    note = _NOTE.search(page.read_text())
    programs: list[str] = []
    limit_s = _LIMIT_S
    for part in note[1].split(";") if note else ():
        word, *rest = part.split()
        if word == "needs":
            programs += rest
        elif word == "takes" and rest[1:] == ["s"]:
            limit_s = float(rest[0])
        else:
            raise AssertionError(f"{page}: a page can need programs or take N s, not {part!r}")
    return Needs(tuple(programs), limit_s)


def play(page: Path, folder: Path) -> Iterator[tuple[Command, str]]:
    """Write the page's files and type its commands; yield what came after each command."""
    ports = {_PORT: _free_port()}
    if _REDIS in page.read_text():
        ports[_REDIS] = _empty_redis()
    with Shell(folder, limit_s=needs(page).limit_s) as shell:
        for step in steps(page):
            if isinstance(step, Included):
                (folder / step.name).write_text(step.source.read_text())
            else:
                came = _typed(shell, step, ports)
                yield step, _replaced(came, {port: name for name, port in ports.items()})


def _typed(shell: Shell, command: Command, ports: Mapping[str, str]) -> str:
    line = _replaced(command.line, ports)
    expected = _replaced(command.expected, ports)
    if line.endswith("&"):
        return shell.start(line, until=lambda printed: matches(expected, printed))
    came = shell.type(line)
    if waiting := _WAITING.match(line):
        for _ in range(round(float(waiting[1]) * 10)):
            if matches(expected, came):
                break
            came = shell.type(f"sleep 1; {line[waiting.end() :]}")
    return came


def _replaced(text: str, ports: Mapping[str, str]) -> str:
    for port, other in ports.items():
        text = text.replace(port, other)
    return text


def _empty_redis() -> str:
    """The port of this process's Valkey, with nothing in it."""
    url = valkey()
    with Redis.from_url(url) as redis:
        redis.flushall()
    return str(urlsplit(url).port)


def matches(expected: str, output: str) -> bool:
    """Whether output is as expected; `...` stands for any text, blanks count as one."""
    pieces = [" ".join(piece.split()) for piece in expected.split("...")]
    pattern = r"\s*.*\s*".join(re.escape(piece).replace(r"\ ", r"\s+") for piece in pieces)
    return re.fullmatch(rf"\s*{pattern}\s*", " ".join(output.split()), re.DOTALL) is not None


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
