"""Durability: one fsync after another, each for everything that was committed before it began."""

import os
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from motet.core.errors import Unavailable
from motet.drivers.sqlite.unit import Unit


class Syncer:
    """Makes commits durable beside the writer, which goes on with the next meanwhile.

    SQLite's own `synchronous=FULL` syncs the WAL inside each commit, under the write lock of all
    processes. Here the commit is that of `NORMAL`, then the WAL is synced by us, and only then
    units are settled. The WAL is read from its start up to the first frame that is not whole,
    so what is durable is always a prefix: an event that another process has read and answered
    before it was durable is so at the latest with the answer.
    """

    def __init__(self, path: str, *, settle: Callable[[Sequence[Unit]], None]) -> None:
        self._path = f"{path}-wal"
        self._settle = settle  # called on this thread with units that are durable
        self._queue: SimpleQueue[Sequence[Unit] | None] = SimpleQueue()
        self._wal = -1
        self._broken = ""
        self._thread = threading.Thread(target=self._run, name="motet-sqlite-sync", daemon=True)
        self._thread.start()

    def submit(self, units: Sequence[Unit]) -> None:
        """Settle committed units once they are durable."""
        self._queue.put(units)

    def finish(self) -> None:
        """Sync what is queued, then end. Blocks."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        more = True
        while more:
            units, more = self._take()
            if units:
                self._sync(units)
                self._settle(units)
        if self._wal >= 0:
            os.close(self._wal)

    def _take(self) -> tuple[list[Unit], bool]:
        taken: list[Unit] = []
        units = self._queue.get()
        while units is not None:
            taken.extend(units)
            try:
                units = self._queue.get_nowait()
            except Empty:
                return taken, True
        return taken, False

    def _sync(self, units: Sequence[Unit]) -> None:
        if not self._broken:
            try:
                # The file stays the same one for as long as our connections are open. SQLite
                # keeps no locks on it, so that a descriptor of ours does no harm.
                if self._wal < 0:
                    self._wal = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                sync = os.fdatasync if hasattr(os, "fdatasync") else os.fsync  # macOS has not
                sync(self._wal)
            except OSError as err:
                # The kernel forgets what it could not write, and says so once: nothing written
                # from now on can be trusted until the file is opened and recovered anew.
                self._broken = f"{self._path!r} could not be synced: {err}; start Motet again"
        if self._broken:
            for unit in units:
                unit.error = Unavailable(self._broken)
