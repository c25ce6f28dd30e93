"""Statements over many rows at once.

Each statement gives up the interpreter lock, and gets it back only when the event loop lets go:
after up to 5 ms while it computes. So few statements, over many rows.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import apsw
import msgspec

Value = None | int | float | bytes | str
Row = Sequence[Value]

_CHUNK = 128  # rows in one statement; sizes are powers of two, so that few statements are cached


def change_many(conn: apsw.Connection, sql: str, row: str, rows: Sequence[Row]) -> int:
    """Run `sql` for all rows, `{}` in it being their list; return how many it changed.

    `row` is the template of one, such as `(?, CAST(? AS TEXT))`.
    """
    changed = 0
    for chunk in _chunks(rows):
        conn.execute(_repeated(sql, row, len(chunk)), [value for each in chunk for value in each])
        changed += conn.changes()
    return changed


def array(values: object) -> str:
    """Return a list as SQL takes it apart with `json_each(?)`: `value` in order, `key` from 0."""
    return msgspec.json.encode(values).decode()


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    done, left = 0, len(rows)
    while left:
        size = min(_CHUNK, 1 << (left.bit_length() - 1))
        yield rows[done : done + size]
        done, left = done + size, left - size


@lru_cache(maxsize=512)
def _repeated(sql: str, row: str, count: int) -> str:
    return sql.replace("{}", ", ".join([row] * count))
