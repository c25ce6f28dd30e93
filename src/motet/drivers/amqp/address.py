"""Where a broker is and how to get in, from a URL."""

import ssl
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from motet.core.errors import ConfigError

PORT, TLS_PORT = 5672, 5671
PLAIN, TLS = ("amqp", "rabbitmq"), ("amqps", "rabbitmqs")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A broker's place. The password is left out of its text."""

    host: str
    port: int
    user: str = "guest"
    password: str = "guest"
    vhost: str = "/"
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    timeout_s: float = 10.0  # for a connection, an answer, a confirm
    heartbeat_s: int = 5  # a connection that is silent for two is dead

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({self.host}:{self.port})"


def parse_address(url: str) -> Address:
    """Read `amqp://USER:PASSWORD@HOST:PORT/VHOST` (or `rabbitmq`, `amqps`, `rabbitmqs`).

    The query is not looked at.

    Raises:
        ConfigError: it is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in PLAIN + TLS:
        raise ConfigError(f"{parts.scheme}:// is none of {', '.join(PLAIN + TLS)}")
    tls = parts.scheme in TLS
    path = parts.path[1:]
    if "/" in path:
        raise ConfigError(f"the vhost {path!r} has a slash in it: write %2F for each")
    return Address(
        host=parts.hostname or "127.0.0.1",
        port=_port(parts) or (TLS_PORT if tls else PORT),
        user=unquote(parts.username or "guest"),
        password=unquote(parts.password or "guest"),
        vhost=unquote(path) or "/",
        tls=tls,
    )


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError as err:
        raise ConfigError(f"the port in {parts.scheme}://...: {err}") from err


def tls_context(address: Address) -> ssl.SSLContext | None:
    """Return what TLS needs; None where the URL does not ask for it.

    Raises:
        ConfigError: a file cannot be read.
    """
    if not address.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=address.ca_file or None)
        if address.cert_file:
            context.load_cert_chain(address.cert_file, address.key_file or None)
    except OSError as err:
        raise ConfigError(
            f"TLS for {address}: {err}; check ca_file, cert_file and key_file"
        ) from err
    return context
