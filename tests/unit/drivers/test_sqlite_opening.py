import os
from pathlib import Path

import apsw
import pytest

from motet.core.clock import SystemClock
from motet.core.errors import ConfigError, Unavailable
from motet.drivers.sqlite import parse_url, prepare
from motet.drivers.sqlite.connection import Location, connect
from motet.drivers.sqlite.schema import latest, migrations
from motet.testing.events import make_events
from tests.sqlite import opened

NOW_US = SystemClock().now_us()


def sql(path: Path, statement: str) -> list[tuple[object, ...]]:
    conn = apsw.Connection(str(path))
    try:
        return conn.execute(statement).fetchall()
    finally:
        conn.close()


@pytest.mark.parametrize(
    ("url", "path", "options"),
    [
        ("sqlite:////var/lib/motet.db", "/var/lib/motet.db", ("full", 8)),
        ("sqlite:////a%20b/c.db", "/a b/c.db", ("full", 8)),
        ("sqlite:////m.db?synchronous=normal&partitions=3", "/m.db", ("normal", 3)),
    ],
)
def test_a_url_names_a_file_and_how_to_use_it(
    url: str, path: str, options: tuple[str, int]
) -> None:
    location = parse_url(url)
    assert location == Location(path, *options)


def test_a_url_with_three_slashes_is_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_url("sqlite:///m.db").path == str(tmp_path.resolve() / "m.db")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite://host/m.db",
        "postgres:///m.db",
        "sqlite:///m.db?synchronous=off",
        "sqlite:///m.db?partitions=0",
        "sqlite:///m.db?partitions=many",
        "sqlite:///m.db?sync=full",
    ],
)
def test_a_url_that_says_something_else_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        parse_url(url)


async def test_what_was_written_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with opened(path) as database:
        events = prepare(await database.topic("t"), make_events(3))
        await database.write(lambda tx: tx.log.add(events))
    async with opened(path) as database:
        (info,) = database.topics()
    assert info.events == 3


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        async with opened(tmp_path):
            pass


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        async with opened(tmp_path / "nowhere" / "m.db"):
            pass


async def test_a_folder_that_nobody_can_write_to_is_refused() -> None:
    with pytest.raises(ConfigError, match="/proc"):
        async with opened("/proc/motet.db"):
            pass


async def test_a_read_only_folder_is_named() -> None:
    # The one folder of Linux whose mode binds root, too: what may do everything asks no mode else.
    with pytest.raises(ConfigError, match="folder '/proc/sys' cannot be written to"):
        async with opened("/proc/sys/motet.db"):
            pass


@pytest.mark.parametrize("content", [b"hello, world\n" * 1000, b"SQLite format 3\0" + b"x" * 9000])
async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="damaged or no SQLite database"):
        async with opened(path):
            pass
    assert path.read_bytes() == content


async def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    sql(path, "CREATE TABLE mine (a)")
    with pytest.raises(ConfigError, match="another program"):
        async with opened(path):
            pass
    assert sql(path, "PRAGMA journal_mode") == [("delete",)]
    assert sql(path, "SELECT name FROM sqlite_schema") == [("mine",)]


async def test_a_file_of_a_newer_motet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with opened(path):
        pass
    sql(path, f"INSERT INTO schema_migrations VALUES ({latest() + 1}, 'x', 0)")
    with pytest.raises(ConfigError, match="newer Motet"):
        async with opened(path):
            pass


async def test_a_file_of_an_older_motet_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    first = migrations()[0]
    sql(path, "CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name, applied_us)")
    sql(path, first.sql)
    sql(path, f"INSERT INTO schema_migrations VALUES ({first.number}, '{first.name}', 0)")
    async with opened(path) as database:
        assert database.rows("SELECT count(*) FROM progress") == [(0,)]
    numbers = [row[0] for row in sql(path, "SELECT number FROM schema_migrations")]
    assert numbers == [step.number for step in migrations()]


async def test_a_full_disk_refuses_writes_and_keeps_what_was_there(tmp_path: Path) -> None:
    async with opened(tmp_path / "m.db") as database:
        topic = await database.topic("t")
        before, after = prepare(topic, make_events(5)), prepare(topic, make_events(5, first=5))
        much = prepare(topic, make_events(20_000, first=100))
        await database.write(lambda tx: tx.log.add(before))
        (pages,) = database.rows("PRAGMA page_count")[0]
        await database.write(lambda tx: tx.one(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(Unavailable, match=r"disk that holds .*m\.db' is full"):
            await database.write(lambda tx: tx.log.add(much))
        assert database.topics()[0].events == 5
        await database.write(lambda tx: tx.one("PRAGMA max_page_count = 1000000"))
        assert await database.write(lambda tx: tx.log.add(after)) == 5


async def test_a_defect_in_a_unit_reaches_who_wrote_it_and_nobody_else(tmp_path: Path) -> None:
    async with opened(tmp_path / "m.db") as database:
        with pytest.raises(ZeroDivisionError):
            await database.write(lambda tx: 1 // 0)
        with pytest.raises(ConfigError, match="not as Motet made them"):
            await database.write(lambda tx: tx.rows("SELECT * FROM nothing"))
        assert (await database.topic("t")).name == "t"


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    conn = connect(Location(str(tmp_path / "m.db")), readonly=True)
    with pytest.raises(apsw.ReadOnlyError):
        conn.execute("CREATE TABLE t (a)")
    conn.close()


async def test_what_could_not_be_synced_is_not_acknowledged_nor_anything_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    async with opened(tmp_path / "m.db") as database:
        topic = await database.topic("t")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", fails)
            events = prepare(topic, make_events(1))
            with pytest.raises(Unavailable, match="could not be synced"):
                await database.write(lambda tx: tx.log.add(events))
        # The disk may say that all is well from now on; what it lost it does not say twice.
        with pytest.raises(Unavailable, match="start Motet again"):
            await database.write(lambda tx: tx.now_us)
    async with opened(tmp_path / "m.db") as database:
        assert await database.write(lambda tx: tx.now_us) > 0


async def test_without_full_synchronisation_nothing_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    async with opened(tmp_path / "m.db", options="?synchronous=normal") as database:
        assert (await database.topic("t")).name == "t"
