"""What runs inside the server: each script is atomic, and one round trip.

Numbers that may pass 10^14 are written with `%.0f`: Lua's own way would round them.
"""

from hashlib import sha1
from importlib.resources import files

import msgspec


class Script(msgspec.Struct, frozen=True):
    """A Lua script and the name the server has for it."""

    text: bytes
    sha: bytes


def _script(*names: str) -> Script:
    folder = files(__package__) / "lua"
    text = b"\n".join((folder / f"{name}.lua").read_bytes() for name in names)
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode())


CREATE = _script("create")
PUBLISH = _script("append", "publish")
ADVANCE = _script("append", "advance")
INFO = _script("places", "info")
TRIM = _script("places", "trim")
JOIN = _script("join")
LOOK = _script("look")
TAKE = _script("take")
RELEASE = _script("release")
LEAVE = _script("leave")
ACK = _script("ack")

ALL = (CREATE, PUBLISH, ADVANCE, INFO, TRIM, JOIN, LOOK, TAKE, RELEASE, LEAVE, ACK)
"""Every script: the server is given them with the greeting."""
