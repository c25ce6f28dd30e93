"""rediss://: against Debian's Redis, which is built with TLS."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from motet.core.clock import SystemClock
from motet.core.errors import ConfigError, Unavailable
from motet.testing.events import make_event
from motet.transports.redis import open_transport
from scripts.services import Redis
from tests.services import own, unavailable

CLOCK = SystemClock()
_SUBJECT = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]


class TlsRedis(Redis):
    """A Redis that speaks TLS on the port after the plain one, and asks for a certificate."""

    name: ClassVar[str] = "redis-tls"

    def prepare(self) -> None:
        super().prepare()
        _certificate(self.folder)

    def command(self) -> Sequence[str]:
        at = str(self.folder)
        files = ["--tls-cert-file", f"{at}/c.pem", "--tls-key-file", f"{at}/k.pem"]
        return [
            *super().command(),
            *("--tls-port", str(self.port + 1), *files, "--tls-ca-cert-file", f"{at}/c.pem"),
        ]

    @property
    def secure(self) -> str:
        return f"rediss://127.0.0.1:{self.port + 1}/0?timeout=2"


def _certificate(folder: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        unavailable("openssl is not installed")
    new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *_SUBJECT]
    files = ["-keyout", str(folder / "k.pem"), "-out", str(folder / "c.pem")]
    subprocess.run([str(openssl), *new, *files], check=True, capture_output=True)


@pytest.fixture(scope="module")
def server() -> Iterator[TlsRedis]:
    with own(TlsRedis) as redis:
        yield redis


async def test_events_travel_over_tls_with_certificates_on_both_sides(server: TlsRedis) -> None:
    at = server.folder
    files = f"tls_ca={at}/c.pem&tls_cert={at}/c.pem&tls_key={at}/k.pem"
    async with open_transport(f"{server.secure}&{files}", CLOCK) as transport:
        assert await transport.publish("t", [make_event(1)]) == 1


async def test_a_server_whose_certificate_nobody_vouches_for_is_refused(server: TlsRedis) -> None:
    with pytest.raises(Unavailable, match="certificate"):
        async with open_transport(server.secure, CLOCK):
            pass


async def test_a_client_without_a_certificate_is_said_to_be_refused(server: TlsRedis) -> None:
    with pytest.raises(Unavailable):
        async with open_transport(f"{server.secure}&tls_ca={server.folder}/c.pem", CLOCK):
            pass


async def test_a_file_that_is_no_certificate_is_a_mistake_in_the_url(server: TlsRedis) -> None:
    with pytest.raises(ConfigError, match="tls_ca"):
        async with open_transport(f"{server.secure}&tls_ca={server.folder}/none.pem", CLOCK):
            pass
