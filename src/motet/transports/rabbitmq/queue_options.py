"""What a `rabbitmq://HOST?queue=NAME` URL says: queues to take from, and how they are declared."""

import msgspec

from motet.core.errors import ConfigError
from motet.drivers.amqp import Address, parse_address
from motet.telemetry import masked
from motet.transports.rabbitmq.topology import Binding, Exchange, Kind, Queue, Topology, ordered
from motet.transports.rabbitmq.values import (
    ADDRESS,
    MANY,
    OF_ADDRESS,
    Option,
    number,
    one_of,
    seconds,
    values_of,
)

FORM = "rabbitmq://[USER:PASSWORD@]HOST[:PORT][/VHOST]?queue=NAME[&OPTION=VALUE...]"


class Queues(msgspec.Struct, frozen=True):
    """Where to take from."""

    address: Address
    queues: tuple[str, ...]
    topology: Topology | None  # None: they are there
    prefetch: int


class _Given(msgspec.Struct, kw_only=True):
    queue: str = ""
    count: int = 0  # NAME.0 and so on, each with one active consumer; 0: NAME itself
    declare: str = "no"  # or "quorum", "classic"
    exchange: str = ""  # to bind to; declared as well
    exchange_type: str = "direct"
    keys: tuple[str, ...] = ()
    ttl_s: float | None = None
    dead_letter_exchange: str | None = None
    dead_letter_key: str | None = None
    delivery_limit: int | None = None
    single_active: bool = False
    prefetch: int = 500


def parse_queues(url: str) -> Queues:
    """Return what a URL says.

    Raises:
        ConfigError: it is no URL of this form, or an option is unknown or out of bounds.
    """
    try:
        address = parse_address(url)
    except ConfigError as err:
        raise ConfigError(f"{masked(url)!r} is no {FORM}: {err}") from err
    values = values_of(url, _OPTIONS, form=FORM)
    theirs = {name: values.pop(name) for name in OF_ADDRESS & values.keys()}
    given = _Given(**values)  # type: ignore[arg-type]  # each by its converter
    if not given.queue:
        raise ConfigError(f"{masked(url)!r} is no {FORM}: it names no queue")
    queues = _queues(given)
    return Queues(
        msgspec.structs.replace(address, **theirs),
        tuple(queue.name for queue in queues),
        _topology(given, queues),
        given.prefetch,
    )


def _queues(given: _Given) -> list[Queue]:
    queue = Queue(
        name=given.queue,
        quorum=given.declare != "classic",
        ttl_s=given.ttl_s,
        dead_letter_exchange=given.dead_letter_exchange,
        dead_letter_key=given.dead_letter_key,
        delivery_limit=given.delivery_limit,
        single_active=given.single_active,
    )
    return ordered(queue, given.count) if given.count else [queue]


def _topology(given: _Given, queues: list[Queue]) -> Topology | None:
    if given.declare == "no":
        return None
    if not given.exchange:
        return Topology(queues=queues)
    return Topology(
        [Exchange(given.exchange, Kind(given.exchange_type))],
        queues,
        [
            Binding(queue.name, given.exchange, key)
            for queue in queues
            for key in given.keys or ("",)
        ],
    )


_OPTIONS: dict[str, Option] = {
    "queue": ("queue", str),
    "count": ("count", number(1, 1024)),
    "declare": ("declare", one_of("no", "quorum", "classic")),
    "exchange": ("exchange", str),
    "exchange_type": ("exchange_type", one_of(*(kind.value for kind in Kind))),
    "key": (f"{MANY}keys", str),
    "ttl": ("ttl_s", seconds(0.001)),
    "dead_letter_exchange": ("dead_letter_exchange", str),
    "dead_letter_key": ("dead_letter_key", str),
    "delivery_limit": ("delivery_limit", number(0, 1_000_000)),
    "single_active": ("single_active", lambda text: one_of("0", "1")(text) == "1"),
    "prefetch": ("prefetch", number(1, 65_535)),
    **ADDRESS,
}
