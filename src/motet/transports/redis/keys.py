"""What things are called on the server, and offsets as entry ids.

A topic's name is the hash tag, so all of its partitions are in one slot of a cluster. Offset `n`
is the entry `1-n`: `XADD key 1-* ...` makes the server number entries so, whoever writes.
"""

from motet.core.errors import ConfigError
from motet.core.event import Partition

NOTHING = b"0-0"  # the id before the first


class Keys:
    """Names of keys, all under one prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.topics = f"{prefix}topics".encode()  # hash: settings by topic
        self.news = f"{prefix}news".encode()  # raised by every publish
        self.upkeep = f"{prefix}upkeep".encode()  # who trims for now

    @property
    def everything(self) -> bytes:
        """A pattern for SCAN."""
        return f"{self._prefix}*".encode()

    def stream(self, partition: Partition) -> bytes:
        """The entries of a partition."""
        return f"{self._prefix}{{{partition.topic}}}:{partition.index}".encode()

    def marks(self, partition: Partition) -> bytes:
        """When a partition had which length."""
        return self.stream(partition) + b":marks"

    def progress(self, topic: str, group: str) -> bytes:
        """Where a group is in a topic, by partition: what delivery mode `transport` keeps."""
        return f"{self._prefix}{{{topic}}}:progress:{group}".encode()

    def members(self, group: str) -> bytes:
        """Members of a group by the end of their session, microseconds since the epoch."""
        return f"{self._prefix}group:{group}:members".encode()

    def subscriptions(self, group: str) -> bytes:
        """Topics by member, as a JSON array."""
        return f"{self._prefix}group:{group}:subscriptions".encode()

    def leases(self, group: str) -> bytes:
        """Member by partition."""
        return f"{self._prefix}group:{group}:leases".encode()


def before(offset: int) -> bytes:
    """Return the id that precedes an offset: where XREAD goes on from, what a group has done."""
    return b"1-%d" % (offset - 1) if offset else NOTHING


def offset_of(id: bytes, key: bytes) -> int:
    """Return the offset that an entry's id stands for.

    Raises:
        ConfigError: it is not one of ours; another program writes to the stream.
    """
    if not id.startswith(b"1-"):
        raise ConfigError(
            f"stream {key.decode(errors='replace')!r} has the entry {id.decode()}: events are "
            "numbered 1-0, 1-1, ...; who writes to a topic's stream has to say XADD KEY 1-* ..."
        )
    return int(id[2:])
