"""What things are called on the broker."""

import re
from hashlib import sha256

import msgspec

from motet.core.event import Partition

_LONGEST = 127  # characters: pamqp allows no more for an exchange
_ALLOWED = re.compile(r"[A-Za-z0-9._:@#,/-]*")


class Names(msgspec.Struct, frozen=True):
    """Names with the prefix that keeps installations on one broker apart."""

    prefix: str

    def exchange(self, topic: str) -> str:
        """Where a topic's events are published; other queues may be bound to it."""
        return _short(f"{self.prefix}{topic}")

    def stream(self, partition: Partition) -> str:
        """The stream that is a partition."""
        return _short(f"{self.prefix}{partition.topic}.{partition.index}")

    @property
    def registry(self) -> str:
        """The stream that lists the topics, for AMQP cannot."""
        return _short(f"{self.prefix}motet.topics")

    def group(self, group: str) -> str:
        """The exchange through which the members of a group hear of one another."""
        return _short(f"{self.prefix}motet.group.{group}")

    def lease(self, group: str, partition: Partition) -> str:
        """The queue whose one active consumer holds the lease."""
        return _short(f"{self.prefix}motet.lease.{group}.{partition.topic}.{partition.index}")

    def progress(self, group: str, partition: Partition) -> str:
        """The stream whose last entry is the group's progress."""
        return _short(f"{self.prefix}motet.progress.{group}.{partition.topic}.{partition.index}")


def _short(name: str) -> str:
    if len(name) <= _LONGEST and _ALLOWED.fullmatch(name):
        return name
    readable = "".join(_ALLOWED.findall(name))
    return f"{readable[:80]}.{sha256(name.encode()).hexdigest()[:40]}"
