"""What is the same for every server: start it, ask it something, stop it, kill it."""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import ClassVar

from scripts.services.processes import Process, until

HOST = "127.0.0.1"
USER = "motet"
PASSWORD = "motet"  # servers for tests, on loopback


class ServiceError(Exception):
    """A server is not installed, or does not start; the message says what to do."""


class Service:
    """One server with a folder and ports of its own, on loopback.

    It takes `ports` ports from `port` on. What it has stored survives `stop`, `kill` and another
    `start`. Two objects for one folder mean the same server, in one process or in several.

    Args:
        tied: for tests: the server is killed when the process that started it ends.
    """

    name: ClassVar[str]
    ports: ClassVar[int] = 1
    limit_s: ClassVar[float] = 60.0  # for starting
    stopping: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path, port: int, *, tied: bool = False) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.tied = tied
        self.process = self._process(self.name, str(self.folder))

    @property
    def url(self) -> str:
        """Where clients connect, with user and password."""
        raise NotImplementedError

    @property
    def urls(self) -> Mapping[str, str]:
        """Everything that can be connected to, by name."""
        return {self.name: self.url}

    def missing(self) -> Sequence[str]:
        """What has to be installed first, as Debian names its packages."""
        raise NotImplementedError

    def answering(self) -> bool:
        """Whether it answers a request of its protocol now."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Write what it reads when it starts; called before every start."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """What to run; holds the folder, by which the process is known."""
        raise NotImplementedError

    def environ(self) -> Mapping[str, str]:
        """The environment to run it in."""
        return os.environ

    @property
    def running(self) -> bool:
        """Whether the process that was started for this folder runs."""
        return self.process.pid is not None

    def start(self) -> float:
        """Start it, unless it runs, and wait until it answers; the seconds that took.

        Raises:
            ServiceError: it is not installed, ended, or does not answer in time; with its log.
        """
        began_s = monotonic()
        if not self.running:
            if missing := self.missing():
                raise ServiceError(f"{self.name}: {', '.join(missing)} is missing")
            if self.answering():
                raise ServiceError(
                    f"{self.name}: port {self.port} is taken by one that was not started from "
                    f"{self.folder}: stop that one, or take other ports"
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            self.prepare()
            self.process.start(self.command(), environ=self.environ(), folder=self.folder)
        until(self._settled, limit_s=self.limit_s, look_s=0.05)
        if self.process.ended() is not None or not self.answering():
            self._fail(monotonic() - began_s)
        return monotonic() - began_s

    def stop(self) -> None:
        """Let it end in its own way; nothing happens where it does not run."""
        self.process.stop(self.stopping, limit_s=30)

    def kill(self) -> None:
        """End it with SIGKILL, as a machine that loses its power does."""
        self.process.kill()

    def _process(self, name: str, *words: str) -> Process:
        return Process(self.folder, name, words=words, tied=self.tied)

    def _settled(self) -> bool:
        return self.process.ended() is not None or self.answering()

    def _fail(self, took_s: float) -> None:
        code = self.process.ended()
        what = f"ended with {code}" if code is not None else f"did not answer in {took_s:.0f} s"
        tail = self.process.tail()
        self.kill()
        raise ServiceError(f"{self.name}: {what}; the end of {self.process.log}:\n{tail}")
