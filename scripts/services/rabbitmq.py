"""RabbitMQ, from Debian's rabbitmq-server, with a node name and an epmd of its own."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from scripts.services import probes
from scripts.services.processes import Process
from scripts.services.service import HOST, PASSWORD, USER, Service

_CONFIG = """\
listeners.tcp.1 = {host}:{port}
management.tcp.ip = {host}
management.tcp.port = {management}
stream.listeners.tcp.1 = {host}:{stream}
stream.advertised_host = {host}
stream.advertised_port = {stream}
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 64MB
log.console = true
log.console.level = info
log.file = false
"""
_PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the wrapper on the PATH changes the user


class RabbitMQ(Service):
    """A RabbitMQ 3.10: AMQP on `port`, management one above, streams two above."""

    name: ClassVar[str] = "rabbitmq"
    ports: ClassVar[int] = 5

    def __init__(self, folder: Path, port: int, *, tied: bool = False) -> None:
        super().__init__(folder, port, tied=tied)
        self._management, self._stream, self._distribution, self._epmd_port = range(
            port + 1, port + 5
        )
        self._epmd: Process = self._process("epmd", "epmd", f"-port {self._epmd_port}")

    @property
    def _node(self) -> str:
        return f"motet-{self.port}@localhost"

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{PASSWORD}@{HOST}:{self.port}"

    @property
    def urls(self) -> Mapping[str, str]:
        login = f"{USER}:{PASSWORD}@{HOST}"
        return {
            "rabbitmq": self.url,
            "rabbitmq management": f"http://{login}:{self._management}",
            "rabbitmq streams": f"rabbitmq-stream://{login}:{self._stream}",
        }

    def missing(self) -> Sequence[str]:
        here = Path(_PROGRAM).exists() and shutil.which("epmd")
        return () if here else ("rabbitmq-server",)

    def answering(self) -> bool:
        return probes.amqp(HOST, self.port) and all(
            self._page(f"/api/health/checks/port-listener/{port}") == 200
            for port in (self.port, self._stream)
        )

    def _page(self, path: str) -> int:
        return probes.page(HOST, self._management, path, user=USER, password=PASSWORD)

    def knows(self, queue: str) -> bool:
        """Whether a quorum queue of the virtual host `/` would come back after a kill.

        RabbitMQ 3.10 writes its list of quorum queues up to three seconds late. A queue that is
        not on it is there when the node is back, but nothing serves it, and calls do not return.
        """
        node = f"{self._node}/quorum/{self._node}"
        names = self.folder / "mnesia" / node / "names.dets"
        return names.exists() and f"%2F_{queue}".encode() in names.read_bytes()

    def prepare(self) -> None:
        text = _CONFIG.format(
            host=HOST,
            port=self.port,
            management=self._management,
            stream=self._stream,
            user=USER,
            password=PASSWORD,
        )
        (self.folder / "rabbitmq.conf").write_text(text)
        (self.folder / "environment").touch()
        (self.folder / "plugins").write_text("[rabbitmq_management,rabbitmq_stream].\n")
        if self._epmd.pid is None:
            # Not as the daemon that erl would start: that one has no pid file and never ends.
            command = [str(shutil.which("epmd")), "-port", str(self._epmd_port), "-address", HOST]
            self._epmd.start(command, environ=os.environ, folder=self.folder)

    def command(self) -> Sequence[str]:
        return [_PROGRAM, "-noinput", "-motet", str(self.folder)]

    def environ(self) -> Mapping[str, str]:
        at = str(self.folder)
        return {
            **os.environ,
            "HOME": at,  # where the cookie is
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_ALLOW_INPUT": "true",  # the shell script becomes the server: one process
            "RABBITMQ_CONFIG_FILE": f"{at}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{at}/environment",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{at}/plugins",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{at}/generated",
            "RABBITMQ_LOG_BASE": f"{at}/log",
            "RABBITMQ_MNESIA_BASE": f"{at}/mnesia",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def stop(self) -> None:
        """Let the node end in its own way, then its epmd."""
        super().stop()
        self._epmd.stop(self.stopping, limit_s=5)
