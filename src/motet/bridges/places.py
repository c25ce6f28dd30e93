"""Names of transports, as events carry them: the same for every process and both directions.

A name is `SCHEME-` and 12 hexadecimal digits of what says where the transport is: scheme, host,
port, path and prefix, never credentials or options. A file, and an address of this machine only
(`localhost`), are of this machine: its name goes in too, for another machine has others there.
"""

import os
import platform
import re
from hashlib import blake2b
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from motet.core.errors import ConfigError

_SAME = {"amqp": "rabbitmq"}
_TLS = re.compile(r"(kafka|rabbitmq|redis|amqp|mqtt)s(?=$|\+)")
_PORTS = {"kafka": 9092, "rabbitmq": 5672, "redis": 6379, "mqtt": 1883}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def place(url: str) -> str:
    """Return the name of the transport that a URL means.

    Two addresses of one cluster have two names: give it one with `--from-name` or `--to-name`.
    """
    parts = urlsplit(url.replace("#", "%23"))
    scheme = _TLS.sub(r"\1", parts.scheme)
    scheme = _SAME.get(scheme, scheme)
    said = "\n".join((scheme, *_where(scheme, parts)))
    return f"{scheme.replace('+', '-')}-{blake2b(said.encode(), digest_size=6).hexdigest()}"


def check_place(name: str) -> str:
    """Return a name that somebody gave a transport.

    Raises:
        ConfigError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name for a transport: 1 to 64 of A-Z a-z 0-9 . _ - and a letter or "
            "a digit first"
        )
    return name


def _where(scheme: str, parts: SplitResult) -> list[str]:
    if scheme == "memory":
        return [platform.node(), str(os.getpid()), parts.netloc, parts.path]
    if scheme == "sqlite":
        return [platform.node(), str(Path(unquote(parts.path)[1:]).resolve())]
    addresses = [_address(scheme, each) for each in parts.netloc.rpartition("@")[2].split(",")]
    options = parse_qs(parts.query)
    told = [f"{name}={options[name][0]}" for name in ("prefix",) if name in options]
    return [*sorted(addresses), parts.path.strip("/") or _root(scheme), *told]


def _root(scheme: str) -> str:
    return "0" if scheme == "redis" else ""


def _address(scheme: str, text: str) -> str:
    try:
        found = urlsplit(f"//{text}")
        host, port = found.hostname or "localhost", found.port
    except ValueError as err:
        raise ConfigError(f"{text!r} is no HOST:PORT: {err}") from err
    machine = platform.node() if _local(host) else ""
    return f"{machine}/{'localhost' if machine else host}:{port or _PORTS.get(scheme, 0)}"


def _local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
