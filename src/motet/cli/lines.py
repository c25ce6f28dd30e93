"""Lines of a file or of standard input, in batches, as they come."""

import asyncio
import os
import selectors
from collections.abc import AsyncIterator
from typing import BinaryIO

import msgspec

_READ_BYTES = 1 << 20
_AHEAD_BYTES = 1 << 22  # most that is read from a pipe before it is worked on
_BOM = b"\xef\xbb\xbf"


class Line(msgspec.Struct, frozen=True):
    """One line, without its end."""

    number: int  # 1-based
    value: bytes


class Lines(msgspec.Struct, frozen=True):
    """Consecutive lines that are not blank, and how far the input is read with them."""

    lines: list[Line]
    size_bytes: int  # of all that was read for them, blank lines included


async def batches(file: BinaryIO, *, most: int) -> AsyncIterator[Lines]:
    """Return the lines of `file`, at most `most` at a time.

    From a pipe or a terminal a batch is what is there: nothing waits for a batch to fill.
    A byte order mark at the start and carriage returns before line ends are left out.
    """
    number = 0
    rest: list[bytes] = []  # of a line whose end is not read yet
    first = True
    async for chunk in _chunks(file):
        if first:
            chunk, first = chunk.removeprefix(_BOM), False
        head, *tail = chunk.split(b"\n")
        rest.append(head)
        if not tail:
            continue
        whole = [b"".join(rest), *tail[:-1]]
        rest = tail[-1:]
        for start in range(0, len(whole), most):
            taken = whole[start : start + most]
            yield _lines(taken, number, ends=len(taken))
            number += len(taken)
    if any(rest):
        yield _lines([b"".join(rest)], number, ends=0)


def _lines(values: list[bytes], before: int, *, ends: int) -> Lines:
    lines = [
        Line(before + place, value.removesuffix(b"\r"))
        for place, value in enumerate(values, start=1)
        if value.strip()
    ]
    return Lines(lines, sum(map(len, values)) + ends)


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    number = file.fileno()
    if _pollable(number):
        async for chunk in _piped(number):
            yield chunk
        return
    while chunk := os.read(number, _READ_BYTES):
        yield chunk


def _pollable(number: int) -> bool:
    """Whether the event loop can wait for it: not a file, nor a device such as /dev/null."""
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(number, selectors.EVENT_READ)
        except PermissionError:
            return False
    return True


async def _piped(number: int) -> AsyncIterator[bytes]:
    """Read a pipe or a terminal without a thread, which Ctrl-C could not end."""
    loop = asyncio.get_running_loop()
    ready: list[bytes] = []
    news = asyncio.Event()

    def read() -> None:
        chunk = os.read(number, _READ_BYTES)
        ready.append(chunk)
        news.set()
        if not chunk or sum(map(len, ready)) > _AHEAD_BYTES:
            loop.remove_reader(number)

    try:
        while True:
            loop.add_reader(number, read)
            await news.wait()
            news.clear()
            taken, ended = b"".join(ready), not ready[-1]
            ready.clear()
            if taken:
                yield taken
            if ended:
                return
    finally:
        loop.remove_reader(number)
