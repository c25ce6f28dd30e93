"""Time and chance."""

from typing import Protocol


class WallClock(Protocol):
    """What says when something happens."""

    def now_us(self) -> int:
        """Wall clock, microseconds since the Unix epoch, UTC. May jump."""
        ...


class Clock(WallClock, Protocol):
    """Time and chance. Everything that waits, stamps or draws lots goes through one."""

    def monotonic_s(self) -> float:
        """Seconds that never go back; for durations."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` seconds. Safe to cancel."""
        ...

    def random(self) -> float:
        """A number in [0, 1) for jitter; never for ids or secrets."""
        ...
