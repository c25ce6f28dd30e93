"""The in-memory store: progress, state, streams, outbox and dead letters in one process."""

from motet.drivers.memory import MemoryLog
from motet.stores.memory.store import MemoryStore

__all__ = ["MemoryLog", "MemoryStore"]
