"""The app that is simulated: one group per way of handling events.

```
 in ─▶ fold ─▶ mid ─▶ lanes ─▶ out ─▶ batched, router ─▶ copy
     (either)   │    (async)  └─▶ late (timers) ─┐
                ├─▶ skips (skip, not park)       │
                └────────────────▶ cross ◀───────┘   one state key, two topics
```

Every group keeps, per key, the ids of what it handled, in order: what must come out follows
from the log alone.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from motet import App, Append, Context, Event, HandlerError, Outcome, State, Unavailable, emit
from motet.core.ports import Clock
from tests.sim.scenario import Scenario, chance

READS = {
    "fold": ("in",),
    "lanes": ("mid",),
    "skips": ("mid",),
    "batched": ("out",),
    "cross": ("mid", "late"),
    "router": ("out",),
}
"""Topics by group. All but the router keep in their state what they handled."""

BEYOND_RETRIES = 1_000_000
"""An attempt so late that only what is fatal fails: a batch has no attempt of its own."""


class Item(msgspec.Struct):
    """The payload."""

    n: int


class Handled(msgspec.Struct):
    """The state: ids, as handled."""

    ids: list[str] = []


class Watch(Protocol):
    """What the simulation wants to know of a try, and what it makes of it."""

    def tried(self, group: str, event: Event, attempt: int) -> None:
        """A handler was called."""
        ...

    def mended(self, group: str, event: Event) -> bool:
        """Whether an operator has mended what was wrong with this event."""
        ...


class Fate:
    """Lets handlers fail as the scenario says."""

    def __init__(self, scenario: Scenario, watch: Watch) -> None:
        self._scenario = scenario
        self._watch = watch

    def note(self, group: str, event: Event, state: State, context: Context) -> None:
        """Record in the state that the event was handled; then perhaps fail, to undo it."""
        self.keep(group, event, state, context)
        self.decide(group, event, context.attempt)

    def keep(self, group: str, event: Event, state: State, context: Context) -> None:
        """Record in the state that the event was handled."""
        self._watch.tried(group, event, context.attempt)
        handled = state.get(Handled) or Handled()
        handled.ids.append(event.id)
        state.put(handled)

    def decide(self, group: str, event: Event, attempt: int) -> None:
        """Raise if this try is to fail."""
        draw = chance(self._scenario.seed, group, event.id)
        if draw < self._scenario.fatal:
            if not self._watch.mended(group, event):
                raise HandlerError("beyond help", retryable=draw < self._scenario.fatal / 2)
        elif draw < self._scenario.fatal + self._scenario.failing:
            tries = 1 + int(chance("tries", draw) * (self._scenario.retry.tries - 1))
            if attempt <= tries:
                raise (ValueError("not yet"), Unavailable("a service is away"))[attempt % 2]


def build(scenario: Scenario, fate: Fate, clock: Clock) -> App:
    """Return a fresh app, as each process has one."""
    app = App("sim")
    _declare_writers(app, scenario, fate, clock)
    _declare_readers(app, scenario, fate, clock)
    app.route("out", {"n": "copy"}, group="router")
    return app


def _declare_writers(app: App, scenario: Scenario, fate: Fate, clock: Clock) -> None:
    def fold(item: Item, event: Event, state: State, context: Context) -> Iterator[object]:
        yield emit("mid", item, type="n")
        fate.keep("fold", event, state, context)

    async def fold_async(item: Item, event: Event, state: State, context: Context) -> list[object]:
        await clock.sleep(chance("wait", event.id, context.attempt) / 10)
        return list(fold(item, event, state, context))

    app.on("in", group="fold", retry=scenario.retry)(fold_async if scenario.lanes else fold)

    @app.on("in", group="fold", retry=scenario.retry)
    def fold_last(event: Event, context: Context) -> None:
        fate.decide("fold", event, context.attempt)  # too late: the first one's effects are there

    @app.on("mid", group="lanes", retry=scenario.retry)
    async def lanes(item: Item, event: Event, state: State, context: Context) -> list[object]:
        slow = chance("slow", event.id, context.attempt)
        if slow > 0.3:
            await clock.sleep(slow)
        fate.note("lanes", event, state, context)
        effects: list[object] = [
            emit("out", item, type="n"),
            Outcome(appends=(Append(f"lanes/{event.key}", (event,)),)),
        ]
        if has_timer(event):
            effects.append(emit("late", item, type="n", delay_s=10 * slow))
        return effects


def _declare_readers(app: App, scenario: Scenario, fate: Fate, clock: Clock) -> None:
    @app.on(
        "mid", group="skips", on_failure="skip", blocking=scenario.threads, retry=scenario.retry
    )
    def skips(event: Event, state: State, context: Context) -> None:
        fate.note("skips", event, state, context)

    @app.on("out", group="batched", batch=True, retry=scenario.retry)
    def batched(events: list[Event], state: State) -> None:
        for event in events:
            handled = state.get(Handled, event.key) or Handled()
            handled.ids.append(event.id)
            state.put(handled, event.key)
            fate.decide("batched", event, BEYOND_RETRIES)

    for topic in READS["cross"]:
        _declare_cross(app, topic, scenario, fate, clock)


def _declare_cross(app: App, topic: str, scenario: Scenario, fate: Fate, clock: Clock) -> None:
    def cross(event: Event, state: State, context: Context) -> None:
        fate.note("cross", event, state, context)

    async def cross_async(event: Event, state: State, context: Context) -> None:
        await clock.sleep(chance("wait", event.id, context.attempt) / 10)
        cross(event, state, context)

    function = cross_async if scenario.lanes else cross
    function.__name__ = f"cross_{topic}"  # handlers of a group need names of their own
    app.on(topic, group="cross", retry=scenario.retry)(function)


def has_timer(event: Event) -> bool:
    """Whether handling this event in `lanes` sets a timer."""
    return chance("timer", event.id) < 0.4
