from pathlib import Path

import pytest

from motet.backends import connect, database_file, diagnose
from motet.core.checks import State
from motet.core.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///.motet/motet.db", ".motet/motet.db"),
        ("sqlite:////srv/motet.db?synchronous=normal", "/srv/motet.db"),
        ("sqlite:///a%20b.db", "a b.db"),
        ("memory://", None),
    ],
)
def test_the_file_of_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, file: str | None
) -> None:
    monkeypatch.chdir(tmp_path)

    assert database_file(url) == (None if file is None else tmp_path.resolve() / file)


async def test_the_file_that_is_opened_is_the_one_that_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new%20folder/a%3Fb.db"
    named = database_file(url)
    assert named is not None
    assert not named.exists()

    async with connect(url):
        assert named.exists()


def test_memory_is_nothing_that_can_be_looked_at_from_outside() -> None:
    diagnosis = diagnose("memory://", now_us=0)

    assert [check.state for check in diagnosis.checks] == [State.FAIL]
    assert not diagnosis.usable


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown scheme 'mongo'"):
        diagnose("mongo://h", now_us=0)
