"""What an `mqtt://` URL says."""

from hashlib import blake2b
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from motet.core.errors import ConfigError
from motet.telemetry import masked

FORM = "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC/FILTER[?qos=1&client_id=NAME&session=SECONDS]"

_PORT, _TLS_PORT = 1883, 8883
_WEEK_S = 7 * 86_400
_NAMES = ("ca", "client_id", "qos", "session")


class Options(msgspec.Struct, frozen=True):
    """Where the broker is, and what is asked of it."""

    host: str
    port: int
    filter: str  # of topics: + is one level, # the rest
    user: str = ""
    password: str = ""
    tls: bool = False
    ca_file: str = ""  # of the authority that signed the broker's certificate
    qos: int = 1  # 1: a message stays with the broker until it is durable here; 0: it does not
    client_id: str = ""  # the name of the session, which has to be that of the last run
    session_s: int = _WEEK_S  # how long the broker keeps what comes while nobody is connected

    @property
    def address(self) -> str:
        """Host and port, as errors name them."""
        return f"{self.host}:{self.port}"


def parse(url: str) -> Options:
    """Return what a URL says. A `#` in it is the wildcard: it begins no fragment.

    Raises:
        ConfigError: it is no URL of this form, or an option is unknown or out of bounds.
    """
    parts = urlsplit(url.replace("#", "%23"))
    topic_filter = unquote(parts.path[1:])
    if parts.scheme not in ("mqtt", "mqtts") or not topic_filter:
        raise ConfigError(f"{masked(url)!r} is no {FORM}")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(given.keys() - set(_NAMES)):
        raise ConfigError(f"mqtt:// has no option {unknown[0]!r}; it has: {', '.join(_NAMES)}")
    tls = parts.scheme == "mqtts"
    try:
        port = parts.port or (_TLS_PORT if tls else _PORT)
        session_s = int(given.get("session", _WEEK_S))
    except ValueError as err:
        raise ConfigError(f"{masked(url)!r} is no {FORM}: {err}") from err
    if not 0 <= session_s < 1 << 32:
        raise ConfigError(f"session={session_s}: 0 to {(1 << 32) - 1} seconds are expected")
    return Options(
        host=parts.hostname or "127.0.0.1",
        port=port,
        filter=topic_filter,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=tls,
        ca_file=given.get("ca", ""),
        qos=_qos(given.get("qos", "1")),
        client_id=given.get("client_id", "") or _client_id(topic_filter),
        session_s=session_s,
    )


def _qos(text: str) -> int:
    if text == "2":
        raise ConfigError(
            "qos=2: at that level a message is acknowledged before it is durable here, and a crash "
            "would lose it; use qos=1, which takes messages that were published with 2 as well"
        )
    if text not in ("0", "1"):
        raise ConfigError(f"qos={text!r}: 0 or 1 is expected")
    return int(text)


def _client_id(topic_filter: str) -> str:
    """Return the same name at every start; 22 characters, for a broker may take no more than 23."""
    return f"motet-{blake2b(topic_filter.encode(), digest_size=8).hexdigest()}"
