import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from motet.cli import main

SHOP = '''
"""An application for tests: orders are taken, odd ones refused."""
from motet import App, Event, HandlerError, RetryPolicy, emit

app = App("shop")


@app.on("orders", "order.created", retry=RetryPolicy(tries=1), on_failure="skip")
def take(event: Event):
    if b"refuse" in bytes(event.data):
        raise HandlerError("this order is odd", code="ODD")
    return emit("taken", {"order": event.id}, type="order.taken")
'''


class Answer(msgspec.Struct, frozen=True):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]


Motet = Callable[..., Answer]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder of its own, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOTET_URL", raising=False)
    monkeypatch.delenv("MOTET_URL_FILE", raising=False)
    return tmp_path


@pytest.fixture
def as_it_was(folder: Path) -> Iterator[None]:
    """Put back what a command changes in its process: where modules are found, and the logs."""
    root, path, modules = logging.getLogger(), list(sys.path), set(sys.modules)
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def motet(as_it_was: None, capfdbinary: pytest.CaptureFixture[bytes]) -> Motet:
    """Run a command in this process."""

    def run(*tokens: str) -> Answer:
        capfdbinary.readouterr()
        code = main(list(tokens))
        out, err = capfdbinary.readouterr()
        return Answer(code, out.decode(), err.decode())

    return run


class Processes:
    """Commands as processes of their own; none outlives the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *tokens: str, stdin: bool = False) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command(*tokens),
            cwd=self._folder,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


def command(*tokens: str) -> Sequence[str]:
    return [sys.executable, "-m", "motet", *tokens]


@pytest.fixture
def processes(folder: Path) -> Iterator[Processes]:
    started = Processes(folder)
    yield started
    started.end()


@pytest.fixture
def shop(folder: Path) -> Path:
    """The module `shop` in the current folder."""
    file = folder / "shop.py"
    file.write_text(SHOP)
    return file


def order(number: int, **payload: object) -> bytes:
    """One order as a JSON line."""
    return msgspec.json.encode(
        {
            "eventId": f"order-{number}",
            "eventType": "order.created",
            "timestamp": f"2026-05-25T10:15:{number % 60:02d}Z",
            "key": f"customer-{number % 7}",
            "payload": payload,
        }
    )


def write_orders(file: Path, count: int) -> Path:
    """Write a file of orders."""
    file.write_bytes(b"".join(order(number) + b"\n" for number in range(count)))
    return file
