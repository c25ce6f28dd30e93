"""What a unit of work writes with."""

from collections.abc import Collection, Sequence

import apsw

from motet.drivers.sqlite.append import Appender
from motet.drivers.sqlite.statements import Row, Value, array, change_many


class Transaction:
    """The open write transaction, as a unit of work sees it, on the writer's thread.

    At first a unit only counts rows, and raises `Recheck` when there are too few. All is then
    undone and run again with `careful`, where it looks before it writes and names the culprit.
    """

    def __init__(self, conn: apsw.Connection, *, now_us: int, careful: bool) -> None:
        self.now_us = now_us
        self.careful = careful
        self.log = Appender(conn, now_us=now_us, careful=careful)
        self._conn = conn

    def rows(self, sql: str, values: Row = ()) -> list[tuple[Value, ...]]:
        """Run a query and return every row. Each row costs a turn at the interpreter lock."""
        return self._conn.execute(sql, values).fetchall()

    def one(self, sql: str, values: Row = ()) -> Value:
        """Run a query and return the first column of its first row, or None."""
        row = self._conn.execute(sql, values).fetchone()
        return None if row is None else row[0]

    def number(self, sql: str, values: Row = ()) -> int:
        """Return the first column of the first row, 0 where that is NULL or there is none."""
        value = self.one(sql, values)
        return value if isinstance(value, int) else 0

    def change(self, sql: str, values: Row = ()) -> int:
        """Run a statement and return how many rows it changed."""
        self._conn.execute(sql, values)
        return self._conn.changes()

    def change_in(self, sql: str, values: Collection[int] | Collection[str], *more: Value) -> int:
        """Run a statement whose first `json_each(?)` is `values`; return how many rows changed."""
        return self.change(sql, (array(values), *more))

    def change_many(self, sql: str, row: str, rows: Sequence[Row]) -> int:
        """Run `sql` for all rows, `{}` in it being their list; return how many it changed.

        `row` is the template of one, such as `(?, CAST(? AS TEXT))`.
        """
        return change_many(self._conn, sql, row, rows)
