"""What a `redis://` URL says."""

import difflib
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from motet.core.errors import ConfigError
from motet.telemetry import masked

FORM = "redis://[USER:PASSWORD@]HOST[:PORT][/DB][?OPTION=VALUE&...]"

_PORT = 6379
_MODES = ("none", "binary", "structured")


class Options(msgspec.Struct, frozen=True):
    """Where the server is and how it is used."""

    host: str
    port: int = _PORT
    db: int = 0
    user: str = ""
    password: str = ""
    tls: bool = False
    ca_file: str = ""  # of the authority that signed the server's certificate
    cert_file: str = ""  # our own certificate, where the server asks for one
    key_file: str = ""
    verify: bool = True  # the server's certificate and name
    prefix: str = "motet:"  # before every key
    partitions: int = 8  # of a topic made by the first publish
    timeout_s: float = 5.0  # for a reply, and for connecting
    session_s: float = 10.0  # a member that hangs loses its leases after this
    wait: int = 0  # replicas that must have a publish before it is done
    waitaof: bool = False  # the server's own append-only file must have it on disk
    retention: str = "read"  # "hard": what is too old goes, whether groups have read it or not
    max_events: int = 0  # kept per partition; 0: any number
    cloudevents: str = "none"  # or "binary", "structured": how events are written

    @property
    def address(self) -> str:
        """Host and port, as errors name them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse(url: str) -> Options:
    """Return what a URL says.

    Raises:
        ConfigError: it is no URL of this form, or an option is unknown or out of bounds.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss"):
        raise ConfigError(f"{masked(url)!r} is no {FORM}")
    values: dict[str, object] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _OPTIONS:
            _unknown(name)
        field, convert = _OPTIONS[name]
        try:
            values[field] = convert(text)
        except ValueError as err:
            raise ConfigError(f"{FORM}: {name}={text!r}: {err}") from err
    try:
        values["port"] = parts.port or _PORT
        values["db"] = _natural(parts.path.strip("/") or "0")
    except ValueError as err:
        raise ConfigError(f"{masked(url)!r} is no {FORM}: {err}") from err
    return Options(
        host=parts.hostname or "127.0.0.1",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "rediss",
        **values,  # type: ignore[arg-type]  # each was made by its converter in _OPTIONS
    )


def _unknown(name: str) -> NoReturn:
    close = difflib.get_close_matches(name, _OPTIONS, n=1, cutoff=0.6)
    near = f", did you mean {close[0]!r}?" if close else ""
    raise ConfigError(
        f"redis:// has no option {name!r}{near} It has: {', '.join(sorted(_OPTIONS))}"
    )


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("a whole number is expected")
    return int(text)


def _positive(text: str) -> int:
    if _natural(text) < 1:
        raise ValueError("at least 1 is expected")
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.05 <= value <= 86_400:
        raise ValueError("0.05 to 86400 seconds are expected")
    return value


def _one_of(*allowed: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is expected")
        return text

    return convert


def _yes(text: str) -> bool:
    return _one_of("0", "1")(text) == "1"


def _prefix(text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError("no braces: they would decide the slot of every key in a cluster")
    return text


_OPTIONS: dict[str, tuple[str, Callable[[str], object]]] = {
    "prefix": ("prefix", _prefix),
    "partitions": ("partitions", _positive),
    "timeout": ("timeout_s", _seconds),
    "session_timeout": ("session_s", _seconds),
    "wait": ("wait", _natural),
    "waitaof": ("waitaof", _yes),
    "retention": ("retention", _one_of("read", "hard")),
    "max_events": ("max_events", _natural),
    "cloudevents": ("cloudevents", _one_of(*_MODES)),
    "tls_ca": ("ca_file", str),
    "tls_cert": ("cert_file", str),
    "tls_key": ("key_file", str),
    "tls_verify": ("verify", _yes),
}
