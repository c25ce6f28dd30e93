"""The writer: one thread, one connection, many units of work in each transaction.

```
 submit ─▶ queue ─▶ turn ─▶ BEGIN · unit · unit · unit · COMMIT ─▶ one wake-up of the event loop
```

One commit serves all units that waited while the one before was on its way.
"""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

import apsw

from motet.core.ports import Clock
from motet.drivers.sqlite.checkpointing import Checkpointer
from motet.drivers.sqlite.connection import translate
from motet.drivers.sqlite.presence import Presence
from motet.drivers.sqlite.transaction import Transaction
from motet.drivers.sqlite.unit import Unit

_UNITS = 256  # most units in one transaction
_BYTES = 8 << 20  # most bytes in one transaction, but always one unit

# SQLite's errors that are about a statement, so about one unit; all others are about the file.
_OWN = (apsw.SQLError, apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError)


class Writer:
    """Runs units on its thread until `stop`. Units may be run twice before they are committed."""

    def __init__(
        self,
        conn: apsw.Connection,
        checkpointer: Checkpointer,
        presence: Presence,
        *,
        clock: Clock,
        committed: Callable[[Sequence[Unit]], None],
        failed: Callable[[Sequence[Unit]], None],
    ) -> None:
        self._conn = conn
        self._checkpointer = checkpointer
        self._presence = presence
        self._clock = clock
        self._committed = committed  # called on this thread with units that were run, or given up
        self._failed = failed  # called on this thread with units of which nothing was applied
        self._queue: SimpleQueue[Unit | None] = SimpleQueue()
        self._wal_pages = 0
        self._thread = threading.Thread(target=self._run, name="motet-sqlite-writer", daemon=True)
        conn.set_wal_hook(self._count)
        self._thread.start()

    def submit(self, unit: Unit) -> None:
        """Queue a unit."""
        self._queue.put(unit)

    def stop(self) -> None:
        """Close the connection once all that is queued is done. Does not wait for it."""
        self._queue.put(None)

    def join(self, max_wait_s: float) -> None:
        """Wait for the end after `stop`, not longer than that. Blocks."""
        self._thread.join(max_wait_s)

    def _run(self) -> None:
        more = True
        while more:
            units, more = self._take()
            if units:
                (self._committed if self._write(units) else self._failed)(units)
        self._conn.close()

    def _take(self) -> tuple[list[Unit], bool]:
        units: list[Unit] = []
        size = 0
        unit = self._queue.get()
        while unit is not None:
            units.append(unit)
            size += unit.size_bytes
            if len(units) == _UNITS or size >= _BYTES:
                return units, True
            try:
                unit = self._queue.get_nowait()
            except Empty:
                return units, True
        return units, False

    def _write(self, units: Sequence[Unit]) -> bool:
        try:
            with self._presence.turn():
                live = [unit for unit in units if unit.claim()]
                if live:
                    self._transact(live)
                self._checkpointer.after_commit(self._conn, self._wal_pages)
            return True
        except apsw.Error as err:
            _fail(units, translate(err, self._conn.filename))
        except OSError as err:
            _fail(units, translate(apsw.IOError(str(err)), self._conn.filename))
        except BaseException as err:  # noqa: BLE001 - a defect: whoever waits for it has to know
            _fail(units, err)
        return False

    def _transact(self, units: Sequence[Unit]) -> None:
        try:
            self._attempt(units, careful=False)
        except Exception as err:
            # Rare: an id that is there, a unit that lost a race. Again, each in a savepoint.
            if isinstance(err, apsw.Error) and not isinstance(err, _OWN):
                raise
            self._attempt(units, careful=True)

    def _attempt(self, units: Sequence[Unit], *, careful: bool) -> None:
        self._conn.execute("BEGIN IMMEDIATE")
        try:
            tx = Transaction(self._conn, now_us=self._clock.now_us(), careful=careful)
            for unit in units:
                if careful:
                    self._isolate(unit, tx)
                else:
                    unit.run(tx)
            tx.log.flush()
            self._conn.execute("COMMIT")
        finally:
            if self._conn.in_transaction:  # SQLite itself rolls back when the disk is full
                self._conn.execute("ROLLBACK")

    def _isolate(self, unit: Unit, tx: Transaction) -> None:
        mark = tx.log.mark()
        self._conn.execute("SAVEPOINT unit")
        try:
            unit.run(tx)
        except Exception as err:
            if isinstance(err, apsw.Error) and not isinstance(err, _OWN):
                raise
            self._conn.execute("ROLLBACK TO unit")
            tx.log.undo(mark)
            file = self._conn.filename
            unit.error = translate(err, file) if isinstance(err, apsw.Error) else err
        self._conn.execute("RELEASE unit")

    def _count(self, _conn: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK


def _fail(units: Sequence[Unit], error: BaseException) -> None:
    for unit in units:
        unit.error = error
