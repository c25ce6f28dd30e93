"""Transports: what each guarantees, by the flags it claims and the contract suite tests."""

import inspect
import re
from collections.abc import Iterable

from motet.core.ports import Guarantee
from motet.transports.kafka import KafkaTransport
from motet.transports.memory import MemoryTransport
from motet.transports.rabbitmq import RabbitTransport
from motet.transports.redis import RedisTransport
from motet.transports.sqlite import SqliteTransport
from scripts.reference.source import code, table

TRANSPORTS: dict[str, type] = {
    "memory": MemoryTransport,
    "sqlite": SqliteTransport,
    "redis": RedisTransport,
    "kafka": KafkaTransport,
    "rabbitmq": RabbitTransport,
}


def _guarantees() -> str:
    claimed: dict[str, Guarantee] = {
        name: each.guarantees  # type: ignore[attr-defined]  # a class attribute of all of them
        for name, each in TRANSPORTS.items()
    }
    rows = [
        (code(flag.name or ""), _comment(flag), *_marks(flag, claimed.values()))
        for flag in Guarantee
    ]
    return table(("guarantee", "what it is", *TRANSPORTS), rows)


def _marks(flag: Guarantee, claimed: Iterable[Guarantee]) -> Iterable[str]:
    return ("yes" if flag in each else "no" for each in claimed)


def _comment(flag: Guarantee) -> str:
    found = re.search(rf"{flag.name} = auto\(\)  # (.*)", inspect.getsource(Guarantee))
    return found[1] if found else ""


PARTS = {"guarantees": _guarantees}
