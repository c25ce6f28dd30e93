import os
import shutil
from pathlib import Path

import apsw
import pytest

from motet.core.checks import Check, Diagnosis, State
from motet.core.clock import SystemClock
from motet.drivers.sqlite import diagnose, prepare
from motet.drivers.sqlite.doctor import check_library
from motet.drivers.sqlite.schema import latest
from motet.testing.events import make_events
from tests.sqlite import opened

NOW_US = SystemClock().now_us()


def look(path: Path, options: str = "") -> Diagnosis:
    return diagnose(f"sqlite:///{path}{options}", now_us=NOW_US)


def failed(diagnosis: Diagnosis) -> list[Check]:
    return [check for check in diagnosis.checks if check.state is State.FAIL]


def sql(path: Path, text: str) -> None:
    conn = apsw.Connection(str(path))
    conn.execute(text)
    conn.close()


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("3.6.23", State.OK),
        ("3.7.0", State.FAIL),
        ("3.40.1", State.FAIL),
        ("3.44.6", State.OK),
        ("3.50.7", State.OK),
        ("3.51.2", State.FAIL),
        ("3.51.3", State.OK),
        ("3.54.1.0", State.OK),
    ],
)
def test_the_window_of_the_wal_bug_is_known(version: str, state: State) -> None:
    assert check_library(version).state is state


@pytest.mark.parametrize(
    ("options", "state"),
    [("", State.OK), ("?synchronous=full", State.OK), ("?synchronous=normal", State.WARN)],
)
def test_what_a_power_cut_can_take_is_said(tmp_path: Path, options: str, state: State) -> None:
    (check,) = [c for c in look(tmp_path / "m.db", options).checks if c.name == "durability"]
    assert check.state is state


def test_a_url_that_is_of_no_use_fails(tmp_path: Path) -> None:
    (check,) = look(tmp_path / "m.db", "?synchronous=off").checks
    assert (check.name, check.state) == ("file", State.FAIL)
    assert "full or normal" in check.advice


async def test_nothing_is_wrong_with_a_healthy_file(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with opened(path) as database:
        await database.topic("t")
        open_ = look(path)
    for diagnosis in (open_, look(path)):
        assert [check.name for check in diagnosis.checks] == [
            "sqlite",
            "durability",
            "folder",
            "file",
            "integrity",
            "schema",
            "wal",
            "members",
        ]
        assert {check.state for check in diagnosis.checks} == {State.OK}
        assert diagnosis.usable
        assert diagnosis.members == 0


def test_no_file_is_no_failure_and_none_is_made(tmp_path: Path) -> None:
    diagnosis = look(tmp_path / "m.db")
    assert {check.state for check in diagnosis.checks} == {State.OK}
    assert not diagnosis.usable
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_will_be_made_is_judged_by_its_parent(tmp_path: Path) -> None:
    (check,) = [c for c in look(tmp_path / "a" / "m.db").checks if c.name == "folder"]
    assert check.state is State.OK
    assert repr(str(tmp_path)) in check.found


def test_a_folder_that_nobody_will_make_fails(tmp_path: Path) -> None:
    (check,) = failed(look(tmp_path / "a" / "b" / "m.db"))
    assert "does not exist" in check.found
    assert "make it" in check.advice


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (check,) = failed(look(tmp_path))
    assert "is a folder" in check.found
    assert "name a file in it" in check.advice


def test_a_file_that_is_no_database_fails(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(b"This is no database. " * 400)
    diagnosis = look(path)
    (check,) = failed(diagnosis)
    assert check.name == "integrity"
    assert "restore" in check.advice
    assert not diagnosis.usable


async def test_damage_is_found_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with opened(path) as database:
        events = prepare(await database.topic("t"), make_events(5000, keys=50))
        await database.write(lambda tx: tx.log.add(events))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 4))
    before = path.read_bytes()
    diagnosis = look(path)
    assert any("restore" in check.advice for check in failed(diagnosis))
    assert not diagnosis.usable
    assert path.read_bytes() == before


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    sql(path, "CREATE TABLE mine (a)")
    before = path.read_bytes()
    diagnosis = look(path)
    (check,) = failed(diagnosis)
    assert check.name == "schema"
    assert "another program" in check.found
    assert "name a file" in check.advice
    assert not diagnosis.usable
    assert path.read_bytes() == before


async def test_a_file_of_a_newer_motet_fails(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with opened(path):
        pass
    sql(path, f"INSERT INTO schema_migrations VALUES ({latest() + 1}, 'x', 0)")
    (check,) = failed(look(path))
    assert check.name == "schema"
    assert "upgrade motet" in check.advice


def test_an_empty_file_and_an_older_one_are_not_used_yet(tmp_path: Path) -> None:
    empty, older = tmp_path / "empty.db", tmp_path / "older.db"
    empty.touch()
    sql(older, "CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name, applied_us)")
    sql(older, "INSERT INTO schema_migrations VALUES (1, 'x', 0)")
    for path in (empty, older):
        diagnosis = look(path)
        (check,) = [c for c in diagnosis.checks if c.name == "schema"]
        assert check.state is State.WARN
        assert not diagnosis.usable


async def test_a_look_does_not_move_the_write_ahead_log(tmp_path: Path) -> None:
    path, copy = tmp_path / "m.db", tmp_path / "copy.db"
    async with opened(path) as database:
        await database.topic("t")
        for end in ("", "-wal"):  # as a killed process leaves it
            shutil.copy(f"{path}{end}", f"{copy}{end}")
    before = copy.read_bytes()
    assert look(copy).usable
    assert copy.read_bytes() == before
    assert copy.with_name("copy.db-wal").stat().st_size > 0
