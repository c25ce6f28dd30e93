"""What the runtime needs from the outside: clock, transport, store; and what it runs."""

from motet.core.ports.clock import Clock, WallClock
from motet.core.ports.kept import (
    DeadLetters,
    EventStore,
    Outbox,
    Queued,
    Recorded,
    Status,
    StoredDeadLetter,
)
from motet.core.ports.processor import Concurrency, Processor, Timetable
from motet.core.ports.source import Source, Taken
from motet.core.ports.state import GroupProgress, Progress, StateReader, Versioned
from motet.core.ports.store import Store
from motet.core.ports.transport import (
    Advance,
    Guarantee,
    Lease,
    ProgressKeeper,
    Readable,
    Subscription,
    TopicInfo,
    Transport,
    Troubled,
)

__all__ = [
    # Time
    "Clock",
    "WallClock",
    # Transport
    "Advance",
    "Guarantee",
    "Lease",
    "ProgressKeeper",
    "Readable",
    "Subscription",
    "TopicInfo",
    "Transport",
    "Troubled",
    # Source
    "Source",
    "Taken",
    # State and progress
    "GroupProgress",
    "Progress",
    "StateReader",
    "Versioned",
    # Kept beside them
    "DeadLetters",
    "EventStore",
    "Outbox",
    "Queued",
    "Recorded",
    "Status",
    "StoredDeadLetter",
    # Store
    "Store",
    # Processors
    "Concurrency",
    "Processor",
    "Timetable",
]
