"""Appending to the log inside a transaction: ids, offsets, one row a block."""

from collections.abc import Iterator, Sequence

import apsw
import msgspec

from motet.core.event import Partition
from motet.drivers.sqlite.log import (
    BLOCK_BYTES,
    BLOCK_EVENTS,
    BYTES,
    EVENTS,
    Block,
    Prepared,
    joined,
    prepare,
)
from motet.drivers.sqlite.statements import Row, array, change_many

_IDS = "INSERT OR IGNORE INTO event_ids SELECT ?, value FROM json_each(?)"
_NEXTS = """
SELECT json_group_array(p.next) FROM json_each(?) AS v
CROSS JOIN partitions AS p ON p.topic = v.value ->> 0 AND p.part = v.value ->> 1
"""
_INSERT = "INSERT INTO log (topic, part, first, count, appended_us, kind, body) VALUES {}"
_ADVANCE = """
UPDATE partitions SET next = v.column3, size_bytes = size_bytes + v.column4
FROM (VALUES {}) AS v WHERE partitions.topic = v.column1 AND partitions.part = v.column2
"""


class Recheck(Exception):
    """Something is not new, or not at its version: run the transaction again, carefully."""


class Appender:
    """What one transaction appends.

    Blocks are gathered, so that many small publishes become a few rows, and written by `flush`,
    which gives the offsets. An id that is there already shows in the number of rows inserted:
    then the transaction is undone and run again `careful`, where each append asks first.
    """

    def __init__(self, conn: apsw.Connection, *, now_us: int, careful: bool) -> None:
        self._conn = conn
        self._now_us = now_us
        self._careful = careful
        self._ids: dict[int, list[tuple[str, ...]]] = {}
        self._blocks: list[tuple[str, Block]] = []

    def add(self, prepared: Prepared) -> int:
        """Append, and return how many are new."""
        if self._careful:
            prepared = self._only_new(prepared)
        else:
            self._ids.setdefault(prepared.topic.id, []).append(prepared.ids)
        self._blocks += [(prepared.topic.name, block) for block in prepared.blocks]
        return len(prepared.ids)

    def add_bytes(self, partition: Partition, value: bytes) -> None:
        """Append bytes that are no event, under an offset of their own."""
        self._blocks.append((partition.topic, Block(partition.index, 1, value, BYTES)))

    def mark(self) -> int:
        """Return the place `undo` goes back to."""
        return len(self._blocks)

    def undo(self, mark: int) -> None:
        """Forget what was added since; its ids go with the savepoint."""
        del self._blocks[mark:]

    def flush(self) -> None:
        """Write what was added.

        Raises:
            Recheck: not all of it is new; only when not `careful`.
        """
        for topic, lists in self._ids.items():
            ids = lists[0] if len(lists) == 1 else tuple([id for each in lists for id in each])
            self._conn.execute(_IDS, (topic, array(ids)))
            if self._conn.changes() != len(ids):
                raise Recheck
        self._ids.clear()
        if self._blocks:
            self._write()
            self._blocks.clear()

    def _only_new(self, prepared: Prepared) -> Prepared:
        inserted = self._conn.execute(
            f"{_IDS} RETURNING id", (prepared.topic.id, array(prepared.ids))
        ).fetchall()
        if len(inserted) == len(prepared.ids):
            return prepared
        new = {row[0]: True for row in inserted}
        events = [event for event in prepared.events if new.pop(event.id, False)]
        return prepare(prepared.topic, events)

    def _write(self) -> None:
        runs: dict[tuple[str, int], list[Block]] = {}
        for name, block in self._blocks:
            runs.setdefault((name, block.part), []).append(block)
        found = self._conn.execute(_NEXTS, (array(list(runs)),)).get
        nexts = msgspec.json.decode(str(found), type=list[int])
        rows: list[Row] = []
        ends: list[Row] = []
        for ((name, part), run), first in zip(runs.items(), nexts, strict=True):
            at, size = first, 0
            for block in _merged(run):
                rows.append((name, part, at, block.count, self._now_us, block.kind, block.body))
                at += block.count
                size += len(block.body)
            ends.append((name, part, at, size))
        change_many(self._conn, _INSERT, "(?, ?, ?, ?, ?, ?, ?)", rows)
        change_many(self._conn, _ADVANCE, "(?, ?, ?, ?)", ends)


def _merged(run: Sequence[Block]) -> Iterator[Block]:
    group: list[Block] = []
    count = size = 0
    for block in run:
        full = count + block.count > BLOCK_EVENTS or size + len(block.body) > BLOCK_BYTES
        if group and (full or block.kind == BYTES or group[0].kind == BYTES):
            yield _merge(group)
            group, count, size = [], 0, 0
        group.append(block)
        count += block.count
        size += len(block.body)
    yield _merge(group)


def _merge(group: Sequence[Block]) -> Block:
    if len(group) == 1:
        return group[0]
    count = sum([block.count for block in group])
    return Block(group[0].part, count, joined([block.body for block in group]), EVENTS)
