"""What a `rabbitmq://` URL says."""

import difflib
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

import msgspec

from motet.core.errors import ConfigError
from motet.drivers.amqp import Address, parse_address
from motet.telemetry import masked

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
    ours: dict[str, object] = {}
    theirs: dict[str, object] = {}
    for name, text in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name not in _OPTIONS:
            _unknown(name)
        field, convert = _OPTIONS[name]
        try:
            (theirs if field in _OF_ADDRESS else ours)[field] = convert(text)
        except ValueError as err:
            raise ConfigError(f"{FORM}: {name}={masked(text)!r}: {err}") from err
    options = Options(address=address, **ours)  # type: ignore[arg-type]  # by its converter
    # The broker gives a silent connection up after one to two heartbeats: within the session.
    theirs["heartbeat_s"] = max(1, int(options.session_s / 2))
    return msgspec.structs.replace(options, address=msgspec.structs.replace(address, **theirs))


def _unknown(name: str) -> NoReturn:
    close = difflib.get_close_matches(name, _OPTIONS, n=1, cutoff=0.6)
    near = f"; did you mean {close[0]!r}?" if close else "."
    raise ConfigError(
        f"rabbitmq:// has no option {name!r}{near} It has: {', '.join(sorted(_OPTIONS))}"
    )


def _number(least: int, most: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"a whole number from {least} to {most} is expected")
        return int(text)

    return convert


def _seconds(least: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        value = float(text)
        if not least <= value <= 86_400:
            raise ValueError(f"{least:g} to 86400 seconds are expected")
        return value

    return convert


def _one_of(*allowed: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is expected")
        return text

    return convert


_OF_ADDRESS = ("timeout_s", "ca_file", "cert_file", "key_file")
_OPTIONS: dict[str, tuple[str, Callable[[str], object]]] = {
    "prefix": ("prefix", str),
    "partitions": ("partitions", _number(1, 1024)),
    "timeout": ("timeout_s", _seconds(0.1)),
    "session_timeout": ("session_s", _seconds(2.0)),
    "prefetch": ("prefetch", _number(1, 65_535)),
    "segment_bytes": ("segment_bytes", _number(1000, 3_000_000_000)),
    "exchange": ("exchange", _one_of("direct", "topic")),
    "cloudevents": ("cloudevents", _one_of("none", "binary", "structured")),
    "management": ("management", str),
    "tls_ca": ("ca_file", str),
    "tls_cert": ("cert_file", str),
    "tls_key": ("key_file", str),
}
