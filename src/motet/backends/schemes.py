"""What a URL's scheme stands for: where its code is, and which extra it needs."""

import importlib
from types import ModuleType
from typing import NoReturn
from urllib.parse import urlsplit

import msgspec

from motet.core.errors import ConfigError
from motet.telemetry import masked

DEFAULT_URL = "sqlite:///.motet/motet.db"
"""One file in the current folder: log, progress, state, streams, outbox and dead letters."""


class Broker(msgspec.Struct, frozen=True):
    """Where the code of another system is, and the extra that it needs."""

    module: str  # a transport's has `open_transport(url, clock)`
    extra: str
    form: str


BROKERS = {
    "kafka": Broker("motet.transports.kafka", "kafka", "kafka://HOST:PORT"),
    "rabbitmq": Broker("motet.transports.rabbitmq", "rabbitmq", "rabbitmq://USER:PASSWORD@HOST"),
    "redis": Broker("motet.transports.redis", "redis", "redis://HOST:PORT/DB"),
}
"""Transports that are another system; the store is a file or a database beside them."""

SOURCES = {
    "mqtt": Broker("motet.transports.mqtt", "mqtt", "mqtt://HOST:PORT/TOPIC/FILTER"),
    "redis": Broker("motet.transports.redis", "redis", "redis+pubsub://HOST:PORT?channel=NAME"),
    "rabbitmq": Broker(
        "motet.transports.rabbitmq", "rabbitmq", "rabbitmq://USER:PASSWORD@HOST?queue=NAME"
    ),
}
"""Sources that are no log: each module has `open_source(url, clock)`, or `open_pubsub`."""

STORE = Broker("motet.stores.postgres", "postgres", "postgres://USER:PASSWORD@HOST/DB")
"""A store that workers on several machines share; the log is a broker beside it."""

SAME = {
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
    "kafkas": "kafka",
    "postgresql": "postgres",
    "rabbitmqs": "rabbitmq",
    "rediss": "redis",
    "mqtts": "mqtt",
}
"""Other names of a scheme."""


EMBEDDED = frozenset({"memory", "sqlite"})
"""Schemes of what is transport and store in one."""


def known_scheme(url: str) -> str:
    """Return the scheme of a transport or a store, by the name it has here.

    Raises:
        ConfigError: it is neither.
    """
    given = urlsplit(url).scheme
    scheme = SAME.get(given, given)
    if scheme not in EMBEDDED and scheme not in BROKERS and scheme != "postgres":
        forms = ", ".join(each.form for each in BROKERS.values())
        raise ConfigError(
            f"{masked(url)!r}: unknown scheme {given!r}; use sqlite:///FILE (the default is "
            f"{DEFAULT_URL}), {forms} or memory://"
        )
    return scheme


def module(scheme: str, broker: Broker) -> ModuleType:
    """Import the code of another system.

    Raises:
        ConfigError: its extra is not installed.
    """
    try:
        return importlib.import_module(broker.module)
    except ModuleNotFoundError as err:
        _not_installed(scheme, broker, err)


def _not_installed(scheme: str, broker: Broker, err: ModuleNotFoundError) -> NoReturn:
    if err.name is None or err.name.startswith("motet"):
        raise err
    raise ConfigError(
        f"{scheme}:// needs {err.name!r}, which is not installed: pip install "
        f"'motet[{broker.extra}]'"
    ) from err
