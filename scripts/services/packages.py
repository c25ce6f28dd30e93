"""Debian packages of the servers: asked for once, all together."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.services.service import ServiceError

_POLICY = Path("/usr/sbin/policy-rc.d")


def install(packages: Sequence[str]) -> None:
    """Install packages with apt-get; the daemons that come with them are not started.

    Raises:
        ServiceError: there is no apt-get, this is not root, or apt-get fails.
    """
    wanted = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise ServiceError(f"install {wanted} with the package manager of this system")
    if os.geteuid() != 0:
        raise ServiceError(f"type `sudo apt-get install {wanted}`, then `make services` again")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    get = ("apt-get", "-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120")
    with _no_daemons():
        for command in ((*get, "update"), (*get, "install", *packages)):
            done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
            if done.returncode:
                tail = (done.stdout + done.stderr)[-2000:]
                raise ServiceError(f"`{' '.join(command)}` failed:\n{tail}")


@contextmanager
def _no_daemons() -> Iterator[None]:
    """Keep packages from starting daemons on the default ports, the way Debian provides."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()
