"""A Redis that speaks TLS."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from scripts.services import Redis
from tests.services import unavailable

_SUBJECT = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]


class TlsRedis(Redis):
    """TLS one port above the plain one; acknowledges what is on disk."""

    name: ClassVar[str] = "redis"

    def prepare(self) -> None:
        super().prepare()
        key, cert = certificate(self.folder)
        lines = (
            f"tls-port {self.behind}",
            f"tls-cert-file {cert}",
            f"tls-key-file {key}",
            f"tls-ca-cert-file {cert}",
            "tls-auth-clients no",
        )
        append(self.folder / "redis.conf", lines)

    @property
    def behind(self) -> int:
        """The port that speaks TLS."""
        return self.port + 1

    def secure(self, address: tuple[str, int], options: str) -> str:
        """The URL of what is at `address` and passes on to `behind`."""
        host, port = address
        return f"rediss://{host}:{port}/0?{options}&tls_ca={self.folder}/cert.pem"


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
