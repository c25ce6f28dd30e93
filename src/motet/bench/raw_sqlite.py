"""The raw limit: a bare script on SQLite that does the reads and writes of the pipeline.

One process appends events, another reads them, appends one event for each and notes how far it
is: same durability, same batch size, same bytes, two processes, and nothing else: no ids, no
JSON, no handler, no partitions, no checks. `rows` keeps one event a row, as a script would;
`blocks` keeps one batch a row, as Motet's log does.

Run as `python -m motet.bench.raw_sqlite ROLE FILE SETTINGS`; `embedded.py` does.
"""

import sys
import time
from collections.abc import Iterator

import apsw
import msgspec

from motet.bench.child import Result, go, report
from motet.bench.load import RawCase

_SCHEMA = """
CREATE TABLE IF NOT EXISTS source (id INTEGER PRIMARY KEY, type TEXT, key TEXT, body BLOB);
CREATE TABLE IF NOT EXISTS sink (id INTEGER PRIMARY KEY, type TEXT, key TEXT, body BLOB);
CREATE TABLE IF NOT EXISTS source_blocks (id INTEGER PRIMARY KEY, count INTEGER, body BLOB);
CREATE TABLE IF NOT EXISTS sink_blocks (id INTEGER PRIMARY KEY, count INTEGER, body BLOB);
CREATE TABLE IF NOT EXISTS progress (name TEXT PRIMARY KEY, next INTEGER);
"""


def open_file(path: str) -> apsw.Connection:
    """Open the database with the settings that Motet uses for its own."""
    connection = apsw.Connection(path)
    connection.set_busy_timeout(10_000)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.execute(_SCHEMA)
    return connection


def publish(connection: apsw.Connection, case: RawCase) -> None:
    """Append all events, one transaction a batch."""
    body = b"x" * case.size_bytes
    for size in _batches(case):
        connection.execute("BEGIN IMMEDIATE")
        if case.blocks:
            connection.execute(
                "INSERT INTO source_blocks (count, body) VALUES (?, ?)", (size, body * size)
            )
        else:
            connection.executemany(
                "INSERT INTO source (type, key, body) VALUES (?, ?, ?)",
                [("order.created", "customer-1", body)] * size,
            )
        connection.execute("COMMIT")


def work(connection: apsw.Connection, case: RawCase) -> None:
    """Read, append one event for each, note progress; one transaction a batch."""
    step = _work_blocks if case.blocks else _work_rows
    done, after = 0, 0
    connection.execute("INSERT OR IGNORE INTO progress VALUES ('raw', 0)")
    while done < case.events:
        count, after = step(connection, after, case.batch)
        done += count
        if not count:
            time.sleep(0.0005)  # noqa: TID251  # a bare script has no clock port


def _work_rows(connection: apsw.Connection, after: int, limit: int) -> tuple[int, int]:
    rows = connection.execute(
        "SELECT id, type, key, body FROM source WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
    ).fetchall()
    if not rows:
        return 0, after
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO sink (type, key, body) VALUES (?, ?, ?)", (row[1:] for row in rows)
    )
    return _note(connection, len(rows), after + len(rows))  # ids have no gaps here


def _work_blocks(connection: apsw.Connection, after: int, limit: int) -> tuple[int, int]:
    row = connection.execute(
        "SELECT id, count, body FROM source_blocks WHERE id > ? ORDER BY id LIMIT 1", (after,)
    ).fetchone()
    if row is None:
        return 0, after
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO sink_blocks (count, body) VALUES (?, ?)", (row[1], row[2]))
    return _note(connection, row[1], row[0])


def _note(connection: apsw.Connection, count: int, last: int) -> tuple[int, int]:
    connection.execute("UPDATE progress SET next = ? WHERE name = 'raw'", (last,))
    connection.execute("COMMIT")
    return count, last


def _batches(case: RawCase) -> Iterator[int]:
    for start in range(0, case.events, case.batch):
        yield min(case.batch, case.events - start)


def main(role: str, path: str, settings: str) -> None:
    """Play one role and report when it began and ended."""
    case = msgspec.json.decode(settings, type=RawCase)
    connection = open_file(path)
    before_s = go()
    began_ns = time.monotonic_ns()
    (publish if role == "publish" else work)(connection, case)
    report(Result(began_ns=began_ns, ended_ns=time.monotonic_ns()), before_s=before_s)


if __name__ == "__main__":
    main(*sys.argv[1:])
