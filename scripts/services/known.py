"""The servers of `make services`: which they are, where they live, which ports are theirs."""

import os
from pathlib import Path

from scripts.services.kafka import Kafka
from scripts.services.mosquitto import Mosquitto
from scripts.services.postgres import Postgres
from scripts.services.rabbitmq import RabbitMQ
from scripts.services.redis import Redis
from scripts.services.service import Service, ServiceError

# Below 32768, where Linux begins to take ports for connections that go out.
_PORT_BASE = 28400
_PLACES: dict[type[Service], int] = {
    Redis: 0,
    Postgres: 10,
    Mosquitto: 20,
    RabbitMQ: 30,
    Kafka: 40,
}
NAMES = tuple(kind.name for kind in _PLACES)


def folder() -> Path:
    """Where their files are: `build/services`, or MOTET_SERVICES_FOLDER."""
    chosen = os.environ.get("MOTET_SERVICES_FOLDER")
    return Path(chosen).absolute() if chosen else Path(__file__).parents[2] / "build" / "services"


def port_base() -> int:
    """The first of their ports: 28400, or MOTET_SERVICES_PORT_BASE.

    Raises:
        ServiceError: the variable holds no port.
    """
    chosen = os.environ.get("MOTET_SERVICES_PORT_BASE", str(_PORT_BASE))
    if not chosen.isdecimal() or not 1024 <= int(chosen) <= 65000:
        raise ServiceError(f"MOTET_SERVICES_PORT_BASE is {chosen!r}: a number from 1024 to 65000")
    return int(chosen)


def known(name: str) -> Service:
    """One of them by its name.

    Raises:
        ServiceError: there is none of this name.
    """
    for kind, place in _PLACES.items():
        if kind.name == name:
            return kind(folder() / name, port_base() + place)
    raise ServiceError(f"there is no service {name!r}: {', '.join(NAMES)}")


def url(name: str) -> str:
    """Where one of them is connected to, whether it runs or not."""
    return known(name).url


def start(name: str) -> None:
    """Start one of them and wait until it answers; for fault tests take one of your own."""
    known(name).start()


def kill(name: str) -> None:
    """End one of them with SIGKILL; for fault tests take one of your own."""
    known(name).kill()
