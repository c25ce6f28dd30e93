"""One connection to the file: how it is opened, and what SQLite's errors mean to a caller."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, unquote, urlsplit

import apsw
import msgspec

from motet.core.errors import ConfigError, MotetError, Unavailable

PAGE_BYTES = 8192
_WAL_BUG = ((3, 7, 0), (3, 51, 2))  # first and last version with the WAL-reset bug
_WAL_BUG_MENDED = frozenset({(3, 44, 6), (3, 50, 7)})  # older lines that had the fix
_BUSY_MS = 10_000  # only a foreign program can hold the file this long: ours queue, see turn.py
_CACHE_KIB = 16_384


class Location(msgspec.Struct, frozen=True):
    """What a `sqlite:///` URL says."""

    path: str  # absolute
    synchronous: str = "full"  # "full": a commit survives a power cut; "normal": a crash only
    partitions: int = 8  # of topics nobody created by name


def parse_url(url: str) -> Location:
    """Read `sqlite:///relative.db` or `sqlite:////absolute.db`, `?synchronous=` and `&partitions=`.

    Raises:
        ConfigError: it is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or parts.netloc or len(parts.path) < 2:
        raise ConfigError(
            f"{url!r} names no SQLite file: write sqlite:///relative.db or sqlite:////absolute.db"
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    synchronous = options.pop("synchronous", "full")
    partitions = options.pop("partitions", "8")
    if synchronous not in ("full", "normal"):
        raise ConfigError(f"{url!r}: synchronous is full or normal, not {synchronous!r}")
    if not partitions.isdecimal() or not 1 <= int(partitions) <= 1024:
        raise ConfigError(f"{url!r}: partitions is a number from 1 to 1024, not {partitions!r}")
    if options:
        raise ConfigError(f"{url!r}: no option {min(options)!r}; there are synchronous, partitions")
    path = os.path.realpath(unquote(parts.path[1:]))
    return Location(path, synchronous, int(partitions))


def connect(location: Location, *, readonly: bool = False) -> apsw.Connection:
    """Open the file, made if it is not there.

    The same file must not be opened with the standard library's sqlite3, nor with open(), in
    this process: closing either drops the locks of all.

    Raises:
        ConfigError: it cannot be opened, or is no SQLite database.
        Unavailable: another program holds it.
    """
    with translated(location.path, opening=True):
        conn = apsw.Connection(location.path, statementcachesize=256)
        conn.set_busy_timeout(_BUSY_MS)
        conn.pragma("page_size", PAGE_BYTES)
        conn.pragma("cache_size", -_CACHE_KIB)
        conn.pragma("temp_store", "memory")
        conn.pragma("synchronous", "normal")  # what "full" adds is done in syncing.py
        conn.pragma("journal_size_limit", 64 << 20)  # a WAL that grew is cut when it starts over
        conn.pragma("query_only", readonly)
        conn.wal_autocheckpoint(0)  # the writer decides when, see writer.py
    return conn


def use_wal(conn: apsw.Connection) -> None:
    """Switch the file to WAL mode, which it then keeps.

    Raises:
        ConfigError: its file system cannot do that.
    """
    if conn.pragma("journal_mode", "wal") != "wal":
        raise ConfigError(
            f"{conn.filename!r} cannot be in WAL mode: put it on a local disk of this machine"
        )


def check_path(path: str) -> None:
    """Refuse what SQLite would only call "unable to open database file".

    Raises:
        ConfigError: no file can be there.
    """
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        raise ConfigError(f"{path!r} is a folder: name a file in it, such as {path}/motet.db")
    if not os.path.isdir(folder):
        raise ConfigError(f"the folder {folder!r} does not exist: make it, or name another file")
    # WAL needs two files beside the database, so the folder must be writable even if the file is.
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"the folder {folder!r} cannot be written to: change its permissions")
    if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
        raise ConfigError(f"{path!r} cannot be written to: change its permissions")


def has_wal_bug(version: str) -> bool:
    """Whether two connections that write and checkpoint at once can corrupt the file."""
    number = tuple(map(int, version.split(".")[:3]))
    return _WAL_BUG[0] <= number <= _WAL_BUG[1] and number not in _WAL_BUG_MENDED


def check_version() -> None:
    """Refuse an SQLite with the WAL-reset bug.

    Raises:
        ConfigError: apsw was built with one.
    """
    if has_wal_bug(apsw.sqlite_lib_version()):
        raise ConfigError(
            f"SQLite {apsw.sqlite_lib_version()} can corrupt a file that several processes write "
            "(fixed in 3.51.3): pip install --upgrade apsw"
        )


@contextmanager
def translated(path: str, *, opening: bool = False) -> Iterator[None]:
    """Raise what SQLite says as an error of ours: the one place where that is done."""
    try:
        yield
    except apsw.Error as err:
        raise translate(err, path, opening=opening) from err


def translate(err: apsw.Error, path: str, *, opening: bool = False) -> MotetError:
    """Return the error of ours that tells a caller what to do."""
    match err:
        case apsw.CorruptError() | apsw.NotADBError():
            return ConfigError(
                f"{path!r} is damaged or no SQLite database ({err}): "
                "restore it from a backup, or move it away and start anew"
            )
        case apsw.FullError():
            return Unavailable(f"the disk that holds {path!r} is full: free some space")
        case apsw.BusyError() | apsw.LockedError():
            return Unavailable(f"another program keeps {path!r} locked: find it with `lsof {path}`")
        case apsw.SQLError() | apsw.ConstraintError() | apsw.MismatchError():
            return ConfigError(f"the tables in {path!r} are not as Motet made them: {err}")
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError() if opening:
            return ConfigError(f"{path!r} cannot be opened for writing ({err}): check permissions")
        case _:
            return Unavailable(f"{path!r} could not be read or written: {err}")
