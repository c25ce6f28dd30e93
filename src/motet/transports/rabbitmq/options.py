"""What a `rabbitmq://` URL says."""

import msgspec

from motet.core.errors import ConfigError
from motet.drivers.amqp import Address, parse_address
from motet.telemetry import masked
from motet.transports.rabbitmq.values import (
    ADDRESS,
    OF_ADDRESS,
    Option,
    number,
    one_of,
    seconds,
    values_of,
)

FORM = "rabbitmq://[USER:PASSWORD@]HOST[:PORT][/VHOST][?OPTION=VALUE&...]"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is and how it is used."""

    address: Address
    prefix: str = ""  # before every name on the broker
    partitions: int = 8  # of a topic made by the first publish
    session_s: float = 10.0  # a member that hangs loses its leases after this
    prefetch: int = 500  # events of a partition on their way to us
    segment_bytes: int = 100_000_000  # retention takes whole segments, and never the newest
    exchange: str = "direct"  # or "topic": routed by type too, at half the rate
    cloudevents: str = "none"  # or "binary", "structured": how events are written
    management: str = ""  # URL of the HTTP API; needed only to change a topic's retention


def parse(url: str) -> Options:
    """Return what a URL says.

    Raises:
        ConfigError: it is no URL of this form, or an option is unknown or out of bounds.
    """
    try:
        address = parse_address(url)
    except ConfigError as err:
        raise ConfigError(f"{masked(url)!r} is no {FORM}: {err}") from err
    ours = values_of(url, _OPTIONS, form=FORM)
    theirs = {name: ours.pop(name) for name in OF_ADDRESS & ours.keys()}
    options = Options(address=address, **ours)  # type: ignore[arg-type]  # by its converter
    # The broker gives a silent connection up after one to two heartbeats: within the session.
    theirs["heartbeat_s"] = max(1, int(options.session_s / 2))
    return msgspec.structs.replace(options, address=msgspec.structs.replace(address, **theirs))


_OPTIONS: dict[str, Option] = {
    "prefix": ("prefix", str),
    "partitions": ("partitions", number(1, 1024)),
    "session_timeout": ("session_s", seconds(2.0)),
    "prefetch": ("prefetch", number(1, 65_535)),
    "segment_bytes": ("segment_bytes", number(1000, 3_000_000_000)),
    "exchange": ("exchange", one_of("direct", "topic")),
    "cloudevents": ("cloudevents", one_of("none", "binary", "structured")),
    "management": ("management", str),
    **ADDRESS,
}
