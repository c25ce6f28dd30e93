"""Who is measured on which broker, each with how much."""

from importlib.util import find_spec
from urllib.parse import urlsplit

import msgspec

from motet.bench.cases import PipelineCase
from motet.core.errors import ConfigError

MOTET, STORE, RAW, QUORUM = "motet", "motet-store", "raw", "raw-quorum"
SINGLE, BATCH = "faststream-single", "faststream-batch"

_ROLES = "motet.bench.broker_roles"
_RIVAL = "faststream"


class Contestant(msgspec.Struct, frozen=True):
    """One way of doing the work. Modules are run as `python -m MODULE ROLE LOAD`."""

    name: str
    worker: str
    publisher: str
    mode: str = ""  # what the worker is told
    published_as: str = ""  # what the publisher is told
    at_most: int = 0  # events of a run, so that it takes about ten seconds; 0: all

    @property
    def ours(self) -> bool:
        """Whether it is Motet: then its names on the broker have a prefix of their own."""
        return self.worker == _ROLES


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A broker and who is measured on it."""

    transport: str
    schemes: tuple[str, ...]  # of its URL; other clients know the first
    raw: str  # the module of the raw limit: it cleans up and describes the broker too
    events: int  # in a run, unless told otherwise
    prefix: str = ""  # option of Motet's URL that keeps runs apart; empty: topics are enough
    contestants: tuple[Contestant, ...]


def _ours(name: str, mode: str, at_most: int = 0) -> Contestant:
    return Contestant(name, _ROLES, _ROLES, mode, mode, at_most)


def _field(
    transport: str,
    *,
    schemes: tuple[str, ...],
    events: int,
    rivals: tuple[Contestant, ...],
    store: int,
    prefix: str = "",
) -> Field:
    raw = f"motet.bench.raw_{transport}"
    first = (_ours(MOTET, "transport"), _ours(STORE, "store", store), Contestant(RAW, raw, raw))
    return Field(
        transport=transport,
        schemes=schemes,
        raw=raw,
        events=events,
        prefix=prefix,
        contestants=(*first, *rivals),
    )


def _rival(name: str, transport: str, at_most: int, *, published_as: str = "") -> Contestant:
    worker, raw = f"motet.bench.faststream_{transport}", f"motet.bench.raw_{transport}"
    return Contestant(name, worker, raw, name.partition("-")[2], published_as, at_most)


FIELDS = {
    field.transport: field
    for field in (
        _field(
            "kafka",
            schemes=("kafka", "kafkas"),
            events=200_000,
            store=100_000,
            rivals=(_rival(SINGLE, "kafka", 5_000), _rival(BATCH, "kafka", 50_000)),
        ),
        _field(
            "rabbitmq",
            schemes=("amqp", "rabbitmq"),
            events=50_000,
            store=50_000,
            prefix="prefix={name}.",
            rivals=(
                Contestant(
                    QUORUM,
                    "motet.bench.raw_rabbitmq",
                    "motet.bench.raw_rabbitmq",
                    "quorum",
                    "quorum",
                ),
                _rival(SINGLE, "rabbitmq", 10_000, published_as="quorum"),
            ),
        ),
        _field(
            "redis",
            schemes=("redis",),
            events=200_000,
            store=100_000,
            prefix="prefix={name}:",
            rivals=(
                _rival(SINGLE, "redis", 5_000, published_as="__data__"),
                _rival(BATCH, "redis", 50_000, published_as="__data__"),
            ),
        ),
    )
}
"""By transport."""


def field(case: PipelineCase) -> Field:
    """Return the field of the case's transport.

    Raises:
        ConfigError: there is none, no broker is named, or its URL is another transport's.
    """
    found = FIELDS.get(case.transport)
    if found is None:
        known = ", ".join(sorted(FIELDS))
        raise ConfigError(f"unknown transport {case.transport!r}; there is: embedded, {known}")
    if not case.url:
        raise ConfigError(
            f"no {case.transport} to measure: name one with --url or MOTET_URL; `make services` in "
            "a clone of Motet starts one and prints its URL"
        )
    if urlsplit(case.url).scheme not in found.schemes:
        raise ConfigError(
            f"{case.url!r} is no {case.transport}: give --url {found.schemes[0]}://..."
        )
    return found


def chosen(field: Field, only: tuple[str, ...]) -> tuple[list[Contestant], str]:
    """Return those to be measured, and a line about those left out, if any are.

    Raises:
        ConfigError: `only` names one that there is not.
    """
    known = [each.name for each in field.contestants]
    for name in only:
        if name not in known:
            raise ConfigError(
                f"no contestant {name!r} on {field.transport}; there are: {', '.join(known)}"
            )
    wanted = [each for each in field.contestants if not only or each.name in only]
    if find_spec(_RIVAL) is not None:
        return wanted, ""
    there = [each for each in wanted if _RIVAL not in each.worker]
    if len(there) == len(wanted):
        return wanted, ""
    return there, "FastStream is left out: it is not installed here (a development dependency)"
