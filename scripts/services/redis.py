"""Redis, from Debian's redis-server."""

import shutil
from collections.abc import Sequence
from typing import ClassVar

from scripts.services import probes
from scripts.services.service import HOST, Service

# `everysec` is what most run: a machine that loses its power loses a second, a killed process
# nothing. The title of the process stays its command line, by which it is found again.
_CONFIG = """\
bind {host}
port {port}
dir {folder}
daemonize no
appendonly yes
appendfsync everysec
save ""
set-proc-title no
"""


class Redis(Service):
    """A Redis 7 that keeps what is written in an append-only file."""

    name: ClassVar[str] = "redis"

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def binary(self) -> str | None:
        """The server's program; None: it is not installed."""
        return shutil.which("redis-server")

    def missing(self) -> Sequence[str]:
        return () if self.binary else ("redis-server",)

    def answering(self) -> bool:
        return probes.redis(HOST, self.port)

    def prepare(self) -> None:
        text = _CONFIG.format(host=HOST, port=self.port, folder=self.folder)
        (self.folder / "redis.conf").write_text(text)

    def command(self) -> Sequence[str]:
        return [str(self.binary), str(self.folder / "redis.conf")]
