"""What a `postgres://` URL says."""

import re
import ssl
from collections.abc import Callable
from typing import Literal, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from motet.core.errors import ConfigError

FORM = "postgres://USER:PASSWORD@HOST[:PORT]/DB[?OPTION=VALUE&...]"

_PORT = 5432
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,39}")

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


class Options(msgspec.Struct, frozen=True):
    """Where the server is and how it is used."""

    host: str
    port: int
    database: str
    user: str
    password: str = ""  # empty: as PGPASSWORD or the password file has it
    schema: str = "public"  # where the tables are
    sslmode: SslMode = "prefer"
    sslrootcert: str = ""  # file of the authority that signed the server's certificate
    connections: int = 8  # at most, beside the one that listens
    timeout_s: float = 10.0  # for connecting, and for a statement

    @property
    def where(self) -> str:
        """The place, as errors and logs name it: no user, no password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgres://{host}:{self.port}/{self.database}"

    def tls(self) -> SslMode | ssl.SSLContext:
        """How the connection is secured, as asyncpg takes it.

        Raises:
            ConfigError: `sslrootcert` is of no use.
        """
        if not self.sslrootcert:
            return self.sslmode
        try:
            context = ssl.create_default_context(cafile=self.sslrootcert)
        except (OSError, ssl.SSLError) as err:
            raise ConfigError(f"{self.where}: sslrootcert cannot be used: {err}") from err
        context.check_hostname = self.sslmode == "verify-full"
        return context


def parse(url: str) -> Options:
    """Return what a URL says.

    Raises:
        ConfigError: it is no URL of this form, or an option is unknown or out of bounds.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or _PORT
    except ValueError as err:
        raise ConfigError(f"the port of the store's URL is no number: write {FORM}") from err
    database = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgres", "postgresql") or not parts.hostname or not database:
        raise ConfigError(f"the store's URL names no PostgreSQL database: write {FORM}")
    values: dict[str, object] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _OPTIONS:
            known = ", ".join(sorted(_OPTIONS))
            raise ConfigError(f"postgres:// has no option {name!r}; there are {known}")
        field, convert = _OPTIONS[name]
        try:
            values[field] = convert(text)
        except ValueError as err:
            raise ConfigError(f"postgres://...?{name}={text}: {err}") from err
    return Options(
        host=parts.hostname,
        port=port,
        database=database,
        user=unquote(parts.username or "") or database,
        password=unquote(parts.password or ""),
        **values,  # type: ignore[arg-type]  # each was made by its converter in _OPTIONS
    )


def _schema(text: str) -> str:
    if not _SCHEMA.fullmatch(text) or text.startswith("pg_"):
        raise ValueError("at most 40 of a-z, 0-9 and _ are expected, not a digit first")
    return text


def _sslmode(text: str) -> str:
    modes = get_args(SslMode)
    if text not in modes:
        raise ValueError(f"one of {', '.join(modes)} is expected")
    return text


def _connections(text: str) -> int:
    if not text.isdecimal() or not 4 <= int(text) <= 100:
        raise ValueError("4 to 100 are expected")
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise ValueError("0.1 to 3600 seconds are expected")
    return value


_OPTIONS: dict[str, tuple[str, Callable[[str], object]]] = {
    "schema": ("schema", _schema),
    "sslmode": ("sslmode", _sslmode),
    "sslrootcert": ("sslrootcert", str),
    "connections": ("connections", _connections),
    "timeout": ("timeout_s", _seconds),
}
