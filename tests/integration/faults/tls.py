"""Brokers that speak TLS where a proxy is in between: without it, no byte is known to be wrong."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from scripts.services import Kafka, RabbitMQ, Redis, Service
from tests.services import unavailable

_SUBJECT = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]


class TlsRedis(Redis):
    """TLS one port above the plain one; acknowledges what is on disk."""

    name: ClassVar[str] = "redis"

    def prepare(self) -> None:
        super().prepare()
        key, cert = certificate(self.folder)
        lines = (
            f"tls-port {self.port + 1}",
            f"tls-cert-file {cert}",
            f"tls-key-file {key}",
            f"tls-ca-cert-file {cert}",
            "tls-auth-clients no",
        )
        append(self.folder / "redis.conf", lines)


class TlsKafka(Kafka):
    """TLS on the listener that is for proxies."""

    def prepare(self) -> None:
        super().prepare()
        key, cert = certificate(self.folder)
        store = self.folder / "store.pem"
        store.write_text(key.read_text() + cert.read_text())
        lines = (
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:SSL",
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={store}",
        )
        append(self.folder / "server.properties", lines)


class TlsRabbitMQ(RabbitMQ):
    """TLS five ports above the plain one."""

    ports: ClassVar[int] = 6

    def prepare(self) -> None:
        super().prepare()
        key, cert = certificate(self.folder)
        lines = (
            f"listeners.ssl.1 = 127.0.0.1:{self.port + 5}",
            f"ssl_options.cacertfile = {cert}",
            f"ssl_options.certfile = {cert}",
            f"ssl_options.keyfile = {key}",
        )
        append(self.folder / "rabbitmq.conf", lines)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key and the certificate that it signed itself; made once."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    openssl = shutil.which("openssl")
    if openssl is None:
        unavailable("openssl is not installed")
    if not cert.exists():
        new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *_SUBJECT]
        files = ["-keyout", str(key), "-out", str(cert)]
        subprocess.run([str(openssl), *new, *files], check=True, capture_output=True)
    return key, cert


def append(file: Path, lines: Sequence[str]) -> None:
    """Add lines to a server's configuration; a later line of a name wins."""
    file.write_text(file.read_text() + "".join(f"{line}\n" for line in lines))


SECURE: dict[str, type[Service]] = {
    "redis": TlsRedis,
    "kafka": TlsKafka,
    "rabbitmq": TlsRabbitMQ,
}


def ports(server: Service) -> tuple[int, int]:
    """Where a proxy passes on to, and where clients look for the proxy; 0: anywhere."""
    if isinstance(server, Kafka):
        return server.proxied
    return server.port + (1 if isinstance(server, Redis) else 5), 0


def secure_url(server: Service, address: tuple[str, int], options: str) -> str:
    """The URL of what is at `address` and passes on to a server, which is known by its cert."""
    plain = server.url.replace(f"127.0.0.1:{server.port}", f"{address[0]}:{address[1]}")
    scheme, _, rest = plain.partition("://")
    ca = "ca" if isinstance(server, Kafka) else "tls_ca"
    return f"{scheme}s://{rest}?{options}&{ca}={server.folder}/cert.pem"
