"""The tables: numbered SQL files, applied in order when the file is opened."""

import re
from importlib import resources

import apsw
import msgspec

from motet.core.errors import ConfigError
from motet.drivers.sqlite.connection import use_wal

_NAME = re.compile(r"(\d{4})_\w+\.sql")


class Migration(msgspec.Struct, frozen=True, order=True):
    """One step of the schema."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All steps, in order. One sequence for the file, whoever's tables they are."""
    folder = resources.files("motet.drivers.sqlite") / "migrations"
    return sorted(
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if (match := _NAME.fullmatch(file.name))
    )


def latest() -> int:
    """The schema this version of Motet writes."""
    return migrations()[-1].number


def version(conn: apsw.Connection) -> int:
    """The schema the file has; 0 for a new file.

    Raises:
        ConfigError: the file is another program's database.
    """
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema")}
    if not tables:
        return 0
    if "schema_migrations" not in tables:
        raise ConfigError(
            f"{conn.filename!r} is the database of another program: name a file of Motet's own"
        )
    number = conn.execute("SELECT max(number) FROM schema_migrations").get
    return number if isinstance(number, int) else 0


def migrate(conn: apsw.Connection, *, now_us: int) -> None:
    """Bring the file to WAL mode and the latest schema. To be called by one process at a time.

    Raises:
        ConfigError: a newer Motet made the file, or another program.
    """
    steps = migrations()
    found = version(conn)
    if found > steps[-1].number:
        raise ConfigError(
            f"{conn.filename!r} has schema {found}, made by a newer Motet; this one knows "
            f"{steps[-1].number}: pip install --upgrade motet"
        )
    use_wal(conn)
    if found == steps[-1].number:
        return
    conn.execute("BEGIN IMMEDIATE")
    try:
        _apply(conn, [step for step in steps if step.number > found], now_us)
        conn.execute("COMMIT")
    finally:
        if conn.in_transaction:
            conn.execute("ROLLBACK")


def _apply(conn: apsw.Connection, steps: list[Migration], now_us: int) -> None:
    conn.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_us INTEGER NOT NULL)"
    )
    for step in steps:
        conn.execute(step.sql)
        conn.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?)", (step.number, step.name, now_us)
        )
