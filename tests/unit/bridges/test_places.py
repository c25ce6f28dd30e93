import os
import subprocess
import sys
from pathlib import Path

import pytest

from motet.bridges import check_place, place
from motet.core.errors import ConfigError


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kafka://h1:9092,h2:9092", "kafka://h2,h1"),
        ("kafka://h1", "kafkas://user:secret@h1:9092?ca=file"),
        ("rabbitmq://u:p@host/vhost", "amqp://host:5672/vhost"),
        ("redis://host", "redis://:secret@HOST:6379/0?partitions=3"),
        ("redis://localhost/1", "redis://127.0.0.1:6379/1"),
        ("sqlite:///a.db", "sqlite:///./a.db?synchronous=full"),
        ("mqtt://h/a/#?qos=1", "mqtt://h:1883/a/%23"),
    ],
)
def test_a_transport_has_one_name_however_it_is_written(one: str, other: str) -> None:
    assert place(one) == place(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kafka://h1", "kafka://h2"),
        ("kafka://h1", "redis://h1"),
        ("kafka://h1:9092", "kafka://h1:9093"),
        ("rabbitmq://host/one", "rabbitmq://host/two"),
        ("redis://host/0", "redis://host/1"),
        ("redis://host?prefix=a:", "redis://host?prefix=b:"),
        ("sqlite:///a.db", "sqlite:///b.db"),
    ],
)
def test_two_transports_have_two_names(one: str, other: str) -> None:
    assert place(one) != place(other)


def test_a_name_is_the_same_in_another_process() -> None:
    url = f"sqlite:///{Path('a.db').resolve()}"
    code = f"from motet.bridges import place; print(place({url!r}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == place("sqlite:///a.db")


@pytest.mark.parametrize("url", ["sqlite:///a.db", "redis://localhost"])
def test_what_is_of_this_machine_has_another_name_on_another(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = place(url)
    monkeypatch.setattr("platform.node", lambda: "another")

    assert place(url) != here


def test_what_is_in_memory_is_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    here = place("memory://")
    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert place("memory://") != here


@pytest.mark.parametrize("name", ["", "a,b", "-a", "a b", "a" * 65])
def test_a_name_that_would_not_fit_a_mark_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a transport"):
        check_place(name)
