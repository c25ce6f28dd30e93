import io
from collections.abc import AsyncIterator

import pytest

from motet.backends import Backends, connect
from motet.cli.console import Console


class Screen:
    """A console whose output is kept."""

    def __init__(self, *, as_json: bool = False, err_terminal: bool = False) -> None:
        self._out, self._err = _stream(terminal=False), _stream(terminal=err_terminal)
        self.console = Console(as_json=as_json, out=self._out, err=self._err)

    @property
    def out(self) -> str:
        return _text(self._out)

    @property
    def err(self) -> str:
        return _text(self._err)


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def _stream(*, terminal: bool) -> io.TextIOWrapper:
    kind = _Terminal if terminal else io.TextIOWrapper
    return kind(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def json_screen() -> Screen:
    return Screen(as_json=True)


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    async with connect("memory://") as opened:
        yield opened
