"""Each server starts, its client gets an answer, and what a killed one had stored is there."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
import pytest
from confluent_kafka.admin import AdminClient

from scripts.services import Kafka, Postgres, RabbitMQ, Redis, Service, known
from scripts.services import __main__ as program
from scripts.services.processes import command_line, until
from tests.integration import clients
from tests.services import Valkey, free_ports, mock_kafka, own, real, tansu, unavailable, valkey

ROOT = Path(__file__).parents[2]
MOSQUITTO = 20  # how far its port is from the first


@pytest.fixture
def name() -> str:
    """A name that no other test uses, on servers that all of them share."""
    return f"test-{os.urandom(6).hex()}"


def test_the_redis_of_a_wheel_answers(name: str) -> None:
    clients.redis_keeps(valkey(), name)
    assert clients.redis_has(valkey(), name)


@pytest.mark.slow
@pytest.mark.parametrize("url", [tansu, mock_kafka], ids=["tansu", "mock"])
def test_the_kafka_of_a_wheel_answers(url: Callable[[], str], name: str) -> None:
    clients.kafka_keeps(url(), name, create=url is tansu)
    assert clients.kafka_has(url(), name)


def test_redis_answers(name: str) -> None:
    clients.redis_keeps(real("redis"), name)
    assert clients.redis_has(real("redis"), name)


def test_postgres_answers(name: str) -> None:
    clients.postgres_keeps(real("postgres"), name)
    assert clients.postgres_has(real("postgres"), name)


async def test_mosquitto_answers(name: str) -> None:
    parts = urlsplit(real("mosquitto"))
    async with aiomqtt.Client(str(parts.hostname), parts.port or 0) as client:
        await client.subscribe(name)
        await client.publish(name, b"hello", qos=1)
        record = await anext(aiter(client.messages))
    assert record.payload == b"hello"


def test_rabbitmq_answers(name: str) -> None:
    real("rabbitmq")
    url = known("rabbitmq").urls["rabbitmq management"]
    clients.rabbitmq_keeps(url, name)
    assert clients.rabbitmq_has(url, name)
    assert clients.rabbitmq(url, "DELETE", f"queues/%2F/{name}", None) is None


def test_rabbitmq_has_streams() -> None:
    real("rabbitmq")
    stream = urlsplit(known("rabbitmq").urls["rabbitmq streams"])
    url = known("rabbitmq").urls["rabbitmq management"]
    found = clients.rabbitmq(url, "GET", f"health/checks/port-listener/{stream.port}", None)
    assert found == {"status": "ok", "port": stream.port}


def test_kafka_answers(name: str) -> None:
    clients.kafka_keeps(real("kafka"), name)
    assert clients.kafka_has(real("kafka"), name)


def test_kafka_makes_no_topic_that_nobody_asked_for(name: str) -> None:
    admin = AdminClient({"bootstrap.servers": clients.kafka_servers(real("kafka"))})
    assert admin.list_topics(name, timeout=10).topics[name].error is not None
    assert name not in admin.list_topics(timeout=10).topics


def _killable() -> Iterator[object]:
    for kind, keeps, has in (
        (Redis, clients.redis_keeps, clients.redis_has),
        (Valkey, clients.redis_keeps, clients.redis_has),
        (Postgres, clients.postgres_keeps, clients.postgres_has),
        (RabbitMQ, clients.rabbitmq_keeps, clients.rabbitmq_has),
        (Kafka, clients.kafka_keeps, clients.kafka_has),
    ):
        yield pytest.param(kind, keeps, has, id=kind.name)


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("kind", "keeps", "has"), list(_killable()))
def test_what_a_killed_server_had_acknowledged_is_there_when_it_is_back(
    kind: type[Service],
    keeps: Callable[[str, str], None],
    has: Callable[[str, str], bool],
    name: str,
) -> None:
    with own(kind) as service:
        url = service.urls.get("rabbitmq management", service.url)
        keeps(url, name)
        if isinstance(service, RabbitMQ):
            assert until(lambda: service.knows(name), limit_s=10)

        service.kill()
        assert not service.answering()
        assert not service.running
        service.start()

        assert has(url, name)


@pytest.mark.kill
def test_a_server_of_ones_own_does_not_outlive_a_killed_test() -> None:
    code = """
from tests.integration import clients
from tests.services import Valkey, own
with own(Valkey) as service:
    print(service.process.pid, flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as test:
        assert test.stdout is not None
        server = int(test.stdout.readline())
        assert "valkey" in command_line(server)
        test.send_signal(signal.SIGKILL)

    assert until(lambda: not command_line(server), limit_s=10)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with free_ports() as base, socket.socket() as other:
        other.bind(("127.0.0.1", base + 5))
        monkeypatch.setenv("MOTET_SERVICES_FOLDER", str(tmp_path))
        monkeypatch.setenv("MOTET_SERVICES_PORT_BASE", str(base + 5 - MOSQUITTO))
        if missing := known("mosquitto").missing():
            unavailable(f"{missing[0]} is not installed: type `make services`")

        assert program.main(["start", "mosquitto"]) == 1

    assert "Address already in use" in capfd.readouterr().err
