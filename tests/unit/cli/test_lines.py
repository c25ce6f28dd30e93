import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.cli import lines
from motet.cli.lines import Lines, batches


async def read(content: bytes, *, most: int = 1000) -> list[Lines]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return [batch async for batch in batches(file, most=most)]


def numbered(found: list[Lines]) -> list[tuple[int, bytes]]:
    return [(line.number, line.value) for batch in found for line in batch.lines]


async def test_blank_lines_are_counted_and_passed_over() -> None:
    found = await read(b"a\n\n  \nb\r\n\nc")

    assert numbered(found) == [(1, b"a"), (4, b"b"), (6, b"c")]


async def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert numbered(await read(b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}")) == [
        (1, b"{}"),
        (2, b"\xef\xbb\xbf{}"),
    ]


async def test_a_batch_is_bounded() -> None:
    found = await read(b"x\n" * 25, most=10)

    assert [len(batch.lines) for batch in found] == [10, 10, 5]


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=30))
async def test_every_byte_is_accounted_for_whatever_the_reads(contents: list[bytes]) -> None:
    content = b"\n".join(contents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_READ_BYTES", 7)
        found = await read(content, most=3)

    said = [
        value.removesuffix(b"\r") for value in content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    ]
    assert numbered(found) == [(at, line) for at, line in enumerate(said, 1) if line.strip()]
    mark = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    assert sum(batch.size_bytes for batch in found) == len(content) - mark


async def test_lines_of_a_pipe_come_before_it_is_closed() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file:
        found = batches(file, most=1000)
        os.write(writer, b"first\nsec")
        batch = await anext(found)
        assert numbered([batch]) == [(1, b"first")]

        os.write(writer, b"ond\n")
        os.close(writer)
        rest = [batch async for batch in found]

    assert numbered(rest) == [(2, b"second")]


async def test_a_pipe_is_not_read_far_ahead_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_AHEAD_BYTES", 10)
    monkeypatch.setattr(lines, "_READ_BYTES", 8)
    reader, writer = os.pipe()
    os.write(writer, b"1234567\n" * 100)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        found = [batch async for batch in batches(file, most=1000)]

    assert max(len(batch.lines) for batch in found) <= 2
    assert len(numbered(found)) == 100


async def test_nothing_comes_from_nowhere() -> None:
    with os.fdopen(os.open(os.devnull, os.O_RDONLY), "rb") as file:
        assert [batch async for batch in batches(file, most=10)] == []
