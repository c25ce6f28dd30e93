"""What things are called on the broker."""

from hashlib import sha256

import msgspec

from motet.core.event import Partition

_LONGEST = 255  # bytes, of any name in AMQP


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
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    return encoded[:180].decode(errors="ignore") + "." + sha256(encoded).hexdigest()
