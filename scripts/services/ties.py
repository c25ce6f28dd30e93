"""A tie between a server and the process that started it: neither outlives a killed test."""

import subprocess

# The shell waits for a line. It gets one when the server is stopped in order; where the pipe is
# closed instead, whoever held its other end has died.
_WAIT = 'read -r line || kill -9 "$1"'


class Tie:
    """Kills a process when this one ends, however it ends, until the tie is cut."""

    def __init__(self, pid: int) -> None:
        self._shell = subprocess.Popen(
            ["sh", "-c", _WAIT, "sh", str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt typed at the terminal is for the tests
        )

    def cut(self) -> None:
        """Let the process be."""
        self._shell.communicate(b"\n")
