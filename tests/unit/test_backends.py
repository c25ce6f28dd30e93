import sys
from pathlib import Path

import pytest

from motet.backends import connect, database_file, diagnose, open_source, source_of
from motet.core.checks import State
from motet.core.clock import SystemClock
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


async def test_memory_is_nothing_that_can_be_looked_at_from_outside() -> None:
    diagnosis = await diagnose("memory://", now_us=0)

    assert [check.state for check in diagnosis.checks] == [State.FAIL]
    assert not diagnosis.usable


async def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown scheme 'mongo'"):
        await diagnose("mongo://h", now_us=0)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("mqtt://h/a/#?qos=1", "mqtt"),
        ("mqtts://h/a", "mqtt"),
        ("redis+pubsub://h?channel=c", "redis"),
        ("rediss://h?pattern=c*", "redis"),
        ("rabbitmq://h?queue=q", "rabbitmq"),
        ("amqp://h?queue=q", "rabbitmq"),
        ("redis://h?prefix=queue:", None),
        ("rabbitmq://h/queue", None),
        ("kafka://h?queue=q", None),
        ("sqlite:///a.db", None),
    ],
)
def test_what_a_url_says_is_a_source_or_a_transport(url: str, kind: str | None) -> None:
    assert source_of(url) == kind


async def test_a_source_whose_extra_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("paho", "motet.transports.mqtt"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "paho", None)

    with pytest.raises(ConfigError, match=r"pip install 'motet\[mqtt\]'"):
        async with open_source("mqtt://h/a", clock=SystemClock()):
            pass


async def test_what_is_no_source_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="names no source; there are mqtt://"):
        async with open_source("kafka://h", clock=SystemClock()):
            pass


async def test_postgres_is_a_store_and_no_transport() -> None:
    with pytest.raises(ConfigError, match="is a store, and no log: name it with --store"):
        async with connect("postgresql://ann:secret@h/db"):
            pass


async def test_a_broker_is_no_store_and_its_password_is_not_told() -> None:
    with pytest.raises(ConfigError, match="a broker keeps no state") as caught:
        async with connect("memory://", store="redis://:hunter2@h"):
            pass
    assert "hunter2" not in str(caught.value)


async def test_a_postgres_that_is_not_there_is_said_to_be_out_of_reach() -> None:
    diagnosis = await diagnose("postgres://ann:hunter2@127.0.0.1:1/db", now_us=0)

    (check,) = diagnosis.checks
    assert (check.name, check.state) == ("postgres", State.FAIL)
    assert "postgres://127.0.0.1:1/db does not answer" in check.found
    assert "hunter2" not in check.found + check.advice
    assert not diagnosis.usable
