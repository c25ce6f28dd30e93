"""PostgreSQL, from Debian's package; as root it runs as the user `postgres`."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from scripts.services import probes
from scripts.services.service import HOST, PASSWORD, USER, Service, ServiceError

_CONFIG = """\
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
max_connections = 100
shared_buffers = 128MB
log_min_messages = warning
"""


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


class Postgres(Service):
    """A PostgreSQL with a database and a user `motet`, as durable as it comes."""

    name: ClassVar[str] = "postgres"
    stopping: ClassVar[signal.Signals] = signal.SIGINT  # "fast": do not wait for clients

    @property
    def url(self) -> str:
        return f"postgres://{USER}:{PASSWORD}@{HOST}:{self.port}/{USER}"

    @property
    def binaries(self) -> Path | None:
        """Where `initdb` and `postgres` are, the newest version; None: not installed."""
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
        for folder in debian:
            if (folder / "postgres").exists() and (folder / "initdb").exists():
                return folder
        found = shutil.which("initdb")
        return Path(found).parent if found else None

    def missing(self) -> Sequence[str]:
        wanted = [] if self.binaries else ["postgresql"]
        if os.geteuid() == 0 and shutil.which("setpriv") is None:
            wanted.append("util-linux")  # setpriv: PostgreSQL does not run as root
        return wanted

    def answering(self) -> bool:
        return probes.postgres(HOST, self.port, user=USER, database=USER)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            self._data.mkdir(exist_ok=True, mode=0o700)
            os.chown(self._data, owner.pw_uid, owner.pw_gid)
        if not (self._data / "motet.made").exists():
            self._make()
        config = self._data / "postgresql.auto.conf"
        config.write_text(_CONFIG.format(host=HOST, port=self.port))

    def _make(self) -> None:
        """Make the cluster and the database; what an interrupted attempt left goes first."""
        for entry in self._data.iterdir() if self._data.exists() else ():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        data = str(self._data)
        self._run(
            "initdb",
            "-D",
            data,
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--pwfile=/dev/stdin",
            typed=f"{PASSWORD}\n",
        )
        self._run("postgres", "--single", "-D", data, "postgres", typed=f"CREATE DATABASE {USER}\n")
        (self._data / "motet.made").touch()

    def command(self) -> Sequence[str]:
        return self._as_postgres("postgres", "-D", str(self._data))

    def _run(self, program: str, *arguments: str, typed: str) -> None:
        done = subprocess.run(
            self._as_postgres(program, *arguments),
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if done.returncode:
            raise ServiceError(f"postgres: {program} failed:\n{done.stdout}{done.stderr}")

    def _as_postgres(self, program: str, *arguments: str) -> Sequence[str]:
        command = [f"{self.binaries}/{program}", *arguments]
        if os.geteuid() != 0:
            return command
        # The folder may lie below one that only root may enter, such as root's home. PostgreSQL
        # refuses to run as root, but not to run as another user who may enter everything.
        enter = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
        owner = ("--reuid=postgres", "--regid=postgres", "--clear-groups")
        return ["setpriv", *owner, *enter, *command]
