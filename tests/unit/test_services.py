import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from scripts.services import NAMES, ServiceError, known, probes, url
from scripts.services.__main__ import main, rendered
from scripts.services.processes import Process, command_line
from tests.services import free_ports, real, unavailable

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose" / "compose.yaml"

Probe = Callable[[str, int], bool]


@contextmanager
def saying(answer: bytes) -> Iterator[tuple[str, int]]:
    """A server that hears one request and says one thing."""

    def serve() -> None:
        conn, _ = listener.accept()
        with conn:
            conn.recv(4096)
            conn.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        thread.join()


def _postgres(host: str, port: int) -> bool:
    return probes.postgres(host, port, user="motet", database="motet")


@pytest.mark.parametrize(
    ("probe", "answer"),
    [
        (probes.redis, b"+PONG\r\n"),
        (probes.mqtt, b"\x20\x02\x00\x00"),
        (_postgres, b"R\x00\x00\x00\x08\x00\x00\x00\x00"),
        (probes.amqp, b"\x01\x00\x00\x00\x00\x00\x10\x00\x0a\x00\x0a"),
        (probes.kafka, b"\x00\x00\x00\x10\x00\x00\x00\x07\x00\x00\x00\x01"),
    ],
)
def test_a_server_that_answers_is_heard(probe: Probe, answer: bytes) -> None:
    with saying(answer) as (host, port):
        assert probe(host, port)


@pytest.mark.parametrize(
    ("probe", "answer"),
    [
        (probes.redis, b"-LOADING Redis is loading the dataset in memory\r\n"),
        (probes.mqtt, b"\x20\x02\x00\x05"),  # not authorised
        (_postgres, b"E\x00\x00\x00\x50SFATAL\x00C57P03\x00"),  # it starts up
        (probes.amqp, b"AMQP\x00\x00\x09\x01"),  # another version
        (probes.kafka, b"\x00\x00\x00\x10\x00\x00\x00\x07\x00\x00\x00\x00"),  # no broker yet
    ],
)
def test_a_server_that_is_not_ready_does_not_answer(probe: Probe, answer: bytes) -> None:
    with saying(answer) as (host, port):
        assert not probe(host, port)


@pytest.mark.parametrize("probe", [probes.redis, probes.mqtt, _postgres, probes.amqp, probes.kafka])
def test_an_open_port_that_says_nothing_does_not_answer(probe: Probe) -> None:
    with saying(b"") as (host, port):
        assert not probe(host, port)


@pytest.fixture
def stranger(tmp_path: Path) -> Process:
    """A server whose pid went to somebody else's process: this one."""
    (tmp_path / "redis.pid").write_text(f"{os.getpid()}\n")
    return Process(tmp_path, "redis", words=[str(tmp_path)], tied=False)


def test_a_process_that_is_not_ours_is_neither_running_nor_ended(stranger: Process) -> None:
    assert command_line(os.getpid())
    assert stranger.pid is None

    stranger.kill()
    stranger.stop(signal.SIGTERM, limit_s=1)  # this test would not go on


def test_a_process_is_found_by_another_object_and_ended_once(tmp_path: Path) -> None:
    words = [str(tmp_path)]
    ours = Process(tmp_path, "server", words=words, tied=True)
    code = "import signal; signal.pause()"
    ours.start([sys.executable, "-c", code, *words], environ=os.environ, folder=tmp_path)
    other = Process(tmp_path, "server", words=words, tied=False)
    assert other.pid == ours.pid is not None

    ours.kill()

    assert other.pid is None
    other.stop(signal.SIGTERM, limit_s=1)
    assert not (tmp_path / "server.pid").exists()


def test_every_server_has_a_url_on_loopback_and_a_port_of_its_own() -> None:
    urls = [each for name in NAMES for each in known(name).urls.values()]
    assert [each for each in urls if "127.0.0.1:" not in each] == []
    assert len(set(_ports("\n".join(urls)))) == len(urls)


def test_the_first_port_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_SERVICES_PORT_BASE", "29400")
    assert url("kafka") == "kafka://127.0.0.1:29440"


@pytest.mark.parametrize("base", ["", "80", "many", "70000"])
def test_a_first_port_that_is_none_is_refused(
    base: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTET_SERVICES_PORT_BASE", base)
    assert main(["status"]) == 1
    assert f"MOTET_SERVICES_PORT_BASE is {base!r}" in capsys.readouterr().err


def test_an_unknown_server_is_named() -> None:
    with pytest.raises(ServiceError, match=r"no service 'reddis': redis, postgres"):
        known("reddis")


def test_the_table_is_as_wide_as_what_it_holds() -> None:
    rows = [
        {"name": "redis", "url": "redis://127.0.0.1:1/0", "state": "answers"},
        {"name": "a long name", "url": "x://", "state": "stopped"},
    ]
    assert rendered(rows).splitlines() == [
        "SERVICE      URL                    STATE",
        "redis        redis://127.0.0.1:1/0  answers",
        "a long name  x://                   stopped",
    ]


def test_two_callers_get_different_ports() -> None:
    with free_ports() as first, free_ports() as second:
        assert abs(first - second) >= 8


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_missing_server_fails_in_ci_and_skips_elsewhere(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with free_ports() as base:
        monkeypatch.setenv("MOTET_SERVICES_PORT_BASE", str(base))
        with pytest.raises(outcome, match=rf"redis does not answer on \S+:{base}: type"):
            real("redis")
    with pytest.raises(outcome, match="no reason"):
        unavailable("no reason")


def test_containers_listen_where_the_servers_do_and_on_loopback_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MOTET_SERVICES_PORT_BASE", raising=False)
    published = re.findall(r'"((?:[\d.]+:)?\d+:\d+)"', COMPOSE.read_text())
    urls = [each for name in NAMES for each in known(name).urls.values()]
    assert [each for each in published if not each.startswith("127.0.0.1:")] == []
    assert _ports("\n".join(published)) == _ports("\n".join(urls))


def _ports(text: str) -> list[str]:
    return re.findall(r"127\.0\.0\.1:(\d+)", text)
