"""What the runtime runs: processors and timetables."""

from enum import Enum
from typing import Protocol

from motet.core.event import Batch, Event
from motet.core.outcome import Outcome
from motet.core.ports.state import StateReader


class Concurrency(Enum):
    """How a processor wants to be called."""

    BATCH = "batch"  # one call per batch, on the event loop; the next after its commit
    LANES = "lanes"  # one call per record, keys side by side, each key in order


class Processor(Protocol):
    """What every kind of handler compiles to."""

    @property
    def name(self) -> str:
        """Consumer group and state namespace: renaming it means starting over."""
        ...

    @property
    def topics(self) -> frozenset[str]:
        """The topics it reads."""
        ...

    @property
    def concurrency(self) -> Concurrency:
        """How it wants to be called."""
        ...

    @property
    def parks(self) -> bool:
        """After a failure, later records of its key wait (True) or go on without it (False)."""
        ...

    async def process(self, batch: Batch, state: StateReader, *, now_us: int) -> Outcome:
        """Decide what a batch leads to; performs nothing.

        A record whose handling failed is in `Outcome.failures`, with its effects left out; and
        if the processor parks and the record may be tried again, later ones of its key follow
        as failures with no error. One that failed for good holds nothing up.
        """
        ...


class Timetable(Protocol):
    """Events that come with time: one at every tick, the same in every process."""

    @property
    def topic(self) -> str:
        """Where they are published."""
        ...

    def next_us(self, after_us: int) -> int:
        """Return the first tick after an instant, both in microseconds since the Unix epoch."""
        ...

    def event(self, tick_us: int) -> Event:
        """Return the event of one tick, always the same: its id is derived from the tick."""
        ...
