"""Mosquitto, an MQTT broker, from Debian's package."""

import getpass
import shutil
from collections.abc import Sequence
from typing import ClassVar

from scripts.services import probes
from scripts.services.service import HOST, Service

_CONFIG = """\
listener {port} {host}
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
log_dest stdout
user {user}
"""
_SEARCHED = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"  # not on the PATH of every user


class Mosquitto(Service):
    """A Mosquitto that keeps retained messages and the sessions that ask for it."""

    name: ClassVar[str] = "mosquitto"

    @property
    def url(self) -> str:
        return f"mqtt://{HOST}:{self.port}"

    @property
    def binary(self) -> str | None:
        """The server's program; None: it is not installed."""
        return shutil.which("mosquitto") or shutil.which("mosquitto", path=_SEARCHED)

    def missing(self) -> Sequence[str]:
        return () if self.binary else ("mosquitto",)

    def answering(self) -> bool:
        return probes.mqtt(HOST, self.port)

    def prepare(self) -> None:
        text = _CONFIG.format(host=HOST, port=self.port, folder=self.folder, user=getpass.getuser())
        (self.folder / "mosquitto.conf").write_text(text)

    def command(self) -> Sequence[str]:
        return [str(self.binary), "-c", str(self.folder / "mosquitto.conf")]
