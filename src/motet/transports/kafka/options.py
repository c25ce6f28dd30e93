"""What a `kafka://` URL says, and what librdkafka calls it."""

from difflib import get_close_matches
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from motet.core.errors import ConfigError

_FORM = "kafka://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...][?OPTION=VALUE&...]"
_PASSED_ON = "rdkafka."
_PORT = 9092


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a `kafka://` URL. Times are in seconds."""

    prefix: str = ""  # before every topic, group and transactional id on the broker
    partitions: int = 8  # of a topic that the first publish makes
    replication: int = -1  # copies of each partition; -1: the broker's default
    min_insync_replicas: int = 0  # copies a write waits for; 0: the broker's default
    max_event_bytes: int = 8 << 20  # of one event as JSON, for topics made here
    timeout: float = 10.0  # longest wait for the broker, and for the delivery of an event
    session_timeout: float = 10.0  # a member that is silent for so long loses its leases
    cloudevents: Literal["", "binary", "structured"] = ""  # how events are written
    transactions: Literal["on", "off"] = "off"  # in delivery mode `transport`
    member: str = ""  # names this process in transactional ids; empty: by chance
    sasl_mechanism: str = ""  # PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
    ca: str = ""  # file with the certificates to trust
    cert: str = ""  # file with the certificate of this client
    key: str = ""  # file with the key of that certificate
    key_password: str = ""


class Address(msgspec.Struct, frozen=True):
    """A cluster, who we are there, and how to talk to it."""

    servers: str
    options: Options
    client: dict[str, str]  # librdkafka's settings for every kind of client

    @property
    def timeout_ms(self) -> int:
        """Longest wait for the broker."""
        return round(self.options.timeout * 1000)


def parse_url(url: str) -> Address:
    """Return what a URL says.

    Raises:
        ConfigError: no host is named, or an option is unknown or of no use; passwords are not
            repeated in the message.
    """
    parts = urlsplit(url)
    user_info, _, hosts = parts.netloc.rpartition("@")
    if not hosts or parts.path.strip("/"):
        raise ConfigError(f"a Kafka URL has hosts and no path: {_FORM}")
    servers = ",".join(_server(host) for host in hosts.split(","))
    given, passed_on = _sorted(parse_qsl(parts.query, keep_blank_values=True))
    try:
        options = msgspec.convert(given, Options, strict=False)
    except msgspec.ValidationError as err:
        raise ConfigError(f"the Kafka URL for {servers}: {err}") from err
    _check(options)
    tls = parts.scheme == "kafkas"
    client = {
        "bootstrap.servers": servers,
        "log_level": "0",  # what it has to say comes as errors too, and is raised
        **_security(user_info, options, tls=tls),
        **passed_on,
    }
    return Address(servers, options, client)


def _server(host: str) -> str:
    bare = host.rpartition("]")[2]
    return host if ":" in bare else f"{host}:{_PORT}"


def _sorted(pairs: list[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    known = Options.__struct_fields__
    given: dict[str, str] = {}
    passed_on: dict[str, str] = {}
    for name, value in pairs:
        if name.startswith(_PASSED_ON):
            passed_on[name.removeprefix(_PASSED_ON)] = value
        elif name in known:
            given[name] = value
        else:
            near = get_close_matches(name, known, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"unknown option {name!r} in a Kafka URL{meant} There are "
                f"{', '.join(sorted(known))}, and {_PASSED_ON}NAME for any setting of librdkafka"
            )
    return given, passed_on


def _check(options: Options) -> None:
    for name in ("partitions", "timeout", "session_timeout", "max_event_bytes"):
        if not getattr(options, name) > 0:
            raise ConfigError(f"{name}={getattr(options, name)} in a Kafka URL: it is above 0")


def _security(user_info: str, options: Options, *, tls: bool) -> dict[str, str]:
    settings: dict[str, str] = {}
    user, _, password = user_info.partition(":")
    if user:
        settings["sasl.mechanism"] = options.sasl_mechanism or "PLAIN"
        settings["sasl.username"] = unquote(user)
        settings["sasl.password"] = unquote(password)
    elif options.sasl_mechanism:
        settings["sasl.mechanism"] = options.sasl_mechanism
    sasl = "sasl.mechanism" in settings
    if sasl or tls:
        settings["security.protocol"] = ("sasl_" if sasl else "") + ("ssl" if tls else "plaintext")
    files = {
        "ssl.ca.location": options.ca,
        "ssl.certificate.location": options.cert,
        "ssl.key.location": options.key,
        "ssl.key.password": options.key_password,
    }
    return settings | {name: value for name, value in files.items() if value}
