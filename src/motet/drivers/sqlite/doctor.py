"""What is wrong with a file, or would be: checks for `motet doctor`, on a file open or not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing

import apsw

from motet.core.checks import Check, Diagnosis, State, fail, ok, warn
from motet.core.errors import ConfigError, MotetError
from motet.drivers.sqlite import schema
from motet.drivers.sqlite.connection import (
    Location,
    check_path,
    connect,
    has_wal_bug,
    parse_url,
    translated,
)
from motet.drivers.sqlite.presence import presence

_FREE_BYTES = 1_000_000_000
_WAL_BYTES = 256 << 20  # four times what it is started over at


def diagnose(url: str, *, now_us: int) -> Diagnosis:
    """Check the file a `sqlite:///` URL names, without changing it; takes a while for a large one.

    The first check that fails may hide what only a readable file could tell.
    """
    try:
        location = parse_url(url)
    except ConfigError as err:
        return Diagnosis((_refused("file", err),), usable=False)
    checks = [
        check_library(apsw.sqlite_lib_version()),
        _synchronous(location),
        _folder(location.path),
    ]
    if _failed(checks):
        return Diagnosis(tuple(checks), usable=False)
    if not os.path.exists(location.path):
        missing = ok("file", f"{location.path!r} is not there yet; the first command makes it")
        return Diagnosis((*checks, missing), usable=False)
    checks.append(ok("file", f"{location.path!r}, {_size(os.stat(location.path).st_size)}"))
    try:
        with closing(connect(location, readonly=True)) as conn, translated(location.path):
            # Closed last, it would move the write-ahead log into a file that may be damaged.
            conn.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            return _look(conn, location, checks, now_us)
    except MotetError as err:
        return Diagnosis((*checks, _refused("integrity", err)), usable=False)


def _look(conn: apsw.Connection, location: Location, before: list[Check], now_us: int) -> Diagnosis:
    tables = _schema(conn)
    checks = [*before, _integrity(conn), tables, _wal(conn, location)]
    if _failed(checks) or tables.advice:
        return Diagnosis(tuple(checks), usable=False)
    members = list(_members(conn, location, now_us))
    alive = sum(each.state is State.OK for each in members)
    noun = "member" if alive == 1 else "members"
    checks.append(ok("members", f"{alive} {noun} of consumer groups alive"))
    return Diagnosis((*checks, *members), usable=True, members=alive)


def check_library(version: str) -> Check:
    """Is SQLite free of the bug that damages a file two processes write to?"""
    if has_wal_bug(version):
        return fail(
            "sqlite",
            f"{version} can damage a file that two processes write (the WAL-reset bug)",
            "pip install --upgrade apsw: 3.51.3 and later are free of it",
        )
    return ok("sqlite", f"{version}, free of the WAL-reset bug")


def _synchronous(location: Location) -> Check:
    if location.synchronous != "full":
        return warn(
            "durability",
            f"synchronous={location.synchronous}: a power cut may take the last commits, "
            "a crash takes none",
            "leave ?synchronous out of the URL, unless that is what you want",
        )
    return ok("durability", "synchronous=full: what is committed survives a power cut")


def _folder(path: str) -> Check:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):  # whoever connects makes one that is missing, not two
        folder = os.path.dirname(folder)
        path = os.path.join(folder, os.path.basename(path))
    try:
        check_path(path)
    except ConfigError as err:
        return _refused("folder", err)
    free = shutil.disk_usage(folder).free
    found = f"{folder!r} can be written to, {_size(free)} free"
    if free < _FREE_BYTES:
        return warn("folder", found, "free some space: a full disk stops every commit")
    return ok("folder", found)


def _integrity(conn: apsw.Connection) -> Check:
    rows = [str(row[0]) for row in conn.execute("PRAGMA quick_check(3)")]
    if rows == ["ok"]:
        return ok("integrity", "every page is in order (quick_check)")
    return fail(
        "integrity", "; ".join(rows), "stop every process and restore the file from a backup"
    )


def _schema(conn: apsw.Connection) -> Check:
    try:
        found, known = schema.version(conn), schema.latest()
    except ConfigError as err:
        return _refused("schema", err)
    if found > known:
        return fail(
            "schema",
            f"version {found}, made by a newer Motet; this one knows {known}",
            "pip install --upgrade motet",
        )
    if not found:
        return warn("schema", "the file is empty", "any other command makes the tables")
    if found < known:
        return warn(
            "schema",
            f"version {found}; this Motet knows {known}",
            "any other command brings it up to date; look again after that",
        )
    return ok("schema", f"version {found}, the newest")


def _wal(conn: apsw.Connection, location: Location) -> Check:
    mode = conn.pragma("journal_mode")
    if mode != "wal":
        return warn("wal", f"journal mode {mode}", "the next command that writes sets it to WAL")
    try:
        size = os.stat(f"{location.path}-wal").st_size
    except FileNotFoundError:
        size = 0
    if size > _WAL_BYTES:
        return warn(
            "wal",
            f"{_size(size)} not yet moved into the file",
            "a program keeps a read open for long: end it; "
            f"`fuser {location.path}` names who has it open",
        )
    return ok("wal", f"{_size(size)} in the write-ahead log")


def _members(conn: apsw.Connection, location: Location, now_us: int) -> Iterator[Check]:
    with presence(location.path) as present:
        for slot, group, host, pid, expires_us, leases in conn.execute(
            "SELECT m.slot, m.grp, m.host, m.pid, m.expires_us, count(l.member) FROM members AS m"
            " LEFT JOIN leases AS l ON l.member = m.id GROUP BY m.id ORDER BY m.grp, m.id"
        ):
            who = f"{group!r} process {pid} on {host}, {leases} partitions"
            if not present.alive(slot):
                advice = "the next member of the group takes over; start one if none runs"
                yield warn("member", f"{who}: its process is gone", advice)
            elif expires_us < now_us:
                yield warn("member", f"{who}: no heartbeat", f"it hangs or is stopped: kill {pid}")
            else:
                yield ok("member", f"{who}: alive")


def _failed(checks: list[Check]) -> bool:
    return any(check.state is State.FAIL for check in checks)


def _refused(name: str, err: MotetError) -> Check:
    if isinstance(err, ConfigError):  # these end in what to do, after a colon
        found, _, advice = str(err).rpartition(": ")
        return fail(name, found or advice, advice)
    return fail(name, str(err), "mend that, and look again")


def _size(size_bytes: int) -> str:
    for unit, least in (("GB", 1e9), ("MB", 1e6)):
        if size_bytes >= least:
            return f"{size_bytes / least:,.1f} {unit}"
    return f"{size_bytes / 1e3:.1f} kB"
