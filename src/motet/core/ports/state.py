"""Committed state and progress, as they are read."""

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from motet.core.event import Partition


class Versioned(msgspec.Struct, frozen=True):
    """A state value and how often its key was written."""

    value: bytes
    version: int


class StateReader(Protocol):
    """Committed state of one namespace."""

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Versioned]:
        """Values by key, in one round trip. Missing keys are missing from the answer."""
        ...


class Progress(msgspec.Struct, frozen=True):
    """How far a group is in a partition."""

    next: int = 0  # every offset below is done
    version: int = 0  # raised by each commit; 0: none yet
    ahead: tuple[int, ...] = ()  # done at or above `next`, ascending
    parked_keys: frozenset[str] = frozenset()  # keys with records parked
    due_us: int | None = None  # the earliest next try of a parked head; None: nothing parked


class GroupProgress(msgspec.Struct, frozen=True):
    """A group's place in a partition, as operators see it."""

    group: str
    partition: Partition
    next: int
    ahead: int  # number of offsets done at or above `next`
    parked: int  # records waiting for another try, or behind one that does
