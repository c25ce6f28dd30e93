"""Faults drawn from a seed, at the seams where a process meets the world.

A simulated process is an app whose transport and store are wrapped by one `Faults`. When it
crashes, nothing it does afterwards reaches the world, as after SIGKILL: its cleanup runs, but
into the void, and its place in a consumer group stays taken until `bury` is called.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import msgspec

from motet.core.errors import Unavailable
from motet.core.event import Partition
from motet.testing.simulation import SimClock

T = TypeVar("T")


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How likely what is, per call through a seam: numbers in [0, 1]."""

    delay: float = 0.0  # the call takes a while, before or after it takes effect
    max_delay_s: float = 0.5
    slow: str = ""  # the one seam where nearly every call takes a while
    unavailable: float = 0.0  # it fails and has no effect
    unknown: float = 0.0  # it fails, but has taken effect
    crash: float = 0.0  # the process dies, before or after it takes effect
    duplicate: float = 0.0  # a publish happens twice
    lost_lease: float = 0.0  # a fetch finds the lease gone
    clock_jump: float = 0.0  # the wall clock is set
    max_jump_s: float = 30.0

    @classmethod
    def draw(cls, rng: random.Random) -> "FaultPlan":
        """Return a plan in which each kind of fault is absent, rare or frequent."""
        return cls(
            delay=rng.choice((0.0, 0.05, 0.3)),
            max_delay_s=rng.choice((0.01, 0.5, 3.0)),
            slow=rng.choice(("", "commit", "progress", "fetch", "publish", "state")),
            unavailable=rng.choice((0.0, 0.01, 0.1)),
            unknown=rng.choice((0.0, 0.01, 0.05)),
            crash=rng.choice((0.0, 0.001, 0.01)),
            duplicate=rng.choice((0.0, 0.1)),
            lost_lease=rng.choice((0.0, 0.01, 0.05)),
            clock_jump=rng.choice((0.0, 0.0, 0.01)),
        )


class Faults:
    """What goes wrong for one simulated process, from the moment it starts to its end."""

    def __init__(
        self,
        plan: FaultPlan,
        *,
        clock: SimClock,
        rng: random.Random,
        expire: Callable[[str, Partition], None] | None = None,
    ) -> None:
        self.clock = clock
        self.seen: Counter[str] = Counter()  # faults that came to pass, by kind and seam
        self.calm = False  # from now on nothing goes wrong
        self.dead = False
        self._plan = plan
        self._rng = rng
        self._expire = expire
        self._task: asyncio.Task[object] | None = None
        self._graves: list[AbstractAsyncContextManager[object]] = []

    def attach(self, task: "asyncio.Task[object] | None") -> None:
        """Name the task that is the process: a crash cancels it."""
        self._task = task

    async def call(self, seam: str, do: Callable[[], Awaitable[T]]) -> T:
        """Do it, or not, or not only."""
        await self.before(seam)
        result = await do()
        await self._after(seam)
        return result

    async def before(self, seam: str) -> None:
        """Let go wrong what may before a call takes effect.

        Raises:
            Unavailable: the call is to fail.
        """
        self.check()
        if self._strikes("clock_jump", seam):
            self.clock.jump(self._rng.uniform(-1, 1) * self._plan.max_jump_s)
        await self._wait(seam)
        if self._strikes("crash", f"{seam} before"):
            self.crash()
        if self._strikes("unavailable", seam):
            raise Unavailable(f"{seam} failed (simulated)")

    def check(self) -> None:
        """Stop a dead process here."""
        if self.dead:
            raise asyncio.CancelledError("this process is dead")

    def crash(self) -> None:
        """Die here and now."""
        self.dead = True
        if self._task is not None:
            self._task.cancel()
        self.check()

    def twice(self, seam: str) -> bool:
        """Whether a call is to be made a second time."""
        return self._strikes("duplicate", seam)

    def lose(self, group: str, partition: Partition) -> None:
        """Perhaps take a lease away."""
        if self._expire is not None and self._strikes("lost_lease", "fetch"):
            self._expire(group, partition)

    def leave_open(self, context: AbstractAsyncContextManager[object]) -> None:
        """Keep what a dead process can no longer give back."""
        self._graves.append(context)

    async def bury(self) -> None:
        """Give back what the dead process held, as when its leases expire."""
        while self._graves:
            await self._graves.pop().__aexit__(None, None, None)

    async def _after(self, seam: str) -> None:
        self.check()
        if self._strikes("crash", f"{seam} after"):
            self.crash()
        await self._wait(seam)
        if self._strikes("unknown", seam):
            raise Unavailable(f"{seam}: no answer (simulated)")

    async def _wait(self, seam: str) -> None:
        slow = seam == self._plan.slow and not self.calm and self._rng.random() < 0.8
        if slow or self._strikes("delay", seam):
            await self.clock.sleep(self._rng.random() * self._plan.max_delay_s)
            self.check()

    def _strikes(self, kind: str, seam: str) -> bool:
        chance: float = getattr(self._plan, kind)
        if self.calm or not chance or self._rng.random() >= chance:
            return False
        self.seen[f"{kind} {seam}"] += 1
        return True
