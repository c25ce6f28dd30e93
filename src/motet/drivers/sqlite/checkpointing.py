"""Checkpoints: copying the WAL into the database, so that neither it nor a recovery grows."""

import logging
import threading

import apsw

_STEP_BYTES = 16 << 20  # copied beside the writer whenever the WAL has grown by this
_FULL_BYTES = 64 << 20  # then it is copied to its end and started over
_PASSES = 3  # before that: each copies what was written during the one before

_log = logging.getLogger(__name__)


class Checkpointer:
    """Copies the WAL on a thread of its own, while the writer goes on.

    The WAL starts over only when all of it is copied and nobody appends meanwhile. So the last
    bit is left to the writer, in its turn, once this thread says that it is small: 5 ms at most
    on a disk that syncs in 2, where copying 16 MB there stopped all processes for 30 to 75.
    """

    def __init__(self, conn: apsw.Connection) -> None:
        self._conn = conn
        self._page_bytes = int(str(conn.pragma("page_size")))
        self._copied_pages = 0  # how long the WAL was when copying was last begun
        self._passes = 0
        self._wanted = threading.Event()
        self._nearly_done = False
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="motet-sqlite-checkpoint", daemon=True
        )
        self._thread.start()

    def after_commit(self, writer: apsw.Connection, wal_pages: int) -> None:
        """Do what the length of the WAL asks for; on the writer's thread, in its turn."""
        if wal_pages < self._copied_pages:
            self._copied_pages = 0  # somebody started it over
            self._nearly_done = False
        full = wal_pages * self._page_bytes >= _FULL_BYTES
        if full and self._nearly_done:
            self._nearly_done = False
            copy(writer)  # nobody appends now, so the next commit starts the WAL over
        elif not self._wanted.is_set() and (
            full or (wal_pages - self._copied_pages) * self._page_bytes >= _STEP_BYTES
        ):
            self._copied_pages = wal_pages
            self._passes = _PASSES if full else 1
            self._wanted.set()

    def finish(self) -> None:
        """End, and close the connection. Blocks while it copies."""
        self._ended.set()
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():  # also after a clear that may have undone `finish`
            self._wanted.wait()
            if self._ended.is_set():
                break
            passes = self._passes
            self._nearly_done = all(copy(self._conn) for _ in range(passes)) and passes > 1
            self._wanted.clear()
        self._conn.close()


def copy(conn: apsw.Connection) -> bool:
    """Copy as much as can be without waiting for anybody; return whether that was tried."""
    try:
        conn.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.BusyError:
        return False  # another process is at it
    except apsw.Error as err:
        # What was committed is safe in the WAL; the next commit meets the same disk.
        _log.warning("sqlite.checkpoint", extra={"error": str(err)})
        return False
    return True
