"""What `motet bridge` runs: a plan, and the bridge that is made from it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec

from motet.backends import open_cache, open_source, open_store, open_transport, source_of
from motet.bridges import (
    Bridge,
    Copying,
    Counts,
    Draining,
    Key,
    Opener,
    Picker,
    Select,
    Target,
    Via,
    check_place,
    copying,
    default_topic,
    emptying,
    place,
    register,
)
from motet.bridges.working import RETRY
from motet.core.errors import ConfigError
from motet.core.ports import Clock, Store
from motet.core.topics import check_topic
from motet.runtime import Settings
from motet.telemetry import masked


class Side(msgspec.Struct, frozen=True):
    """One side of a bridge, as it was given."""

    url: str
    given_name: str | None = None

    @property
    def name(self) -> str:
        """What it is called in the marks of events."""
        return place(self.url) if self.given_name is None else check_place(self.given_name)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    here: Side
    there: Side
    topics: tuple[str, ...]
    to_topic: str | None
    group: str | None
    select: Select | None
    key: Key | None
    store: str
    drain_s: float
    cache: bool = False  # TO is to hold the latest payload of each key, and no log
    ttl_s: float | None = None  # how long it holds it

    @property
    def source(self) -> str | None:
        """The kind of source that events come from; None: a transport."""
        return source_of(self.here.url)

    @property
    def named_group(self) -> str:
        """The consumer group: one for each target, so that two bridges do not share the events."""
        kind = "cache" if self.cache else "bridge"
        return self.group or f"{kind}-{self.there.name}"

    @property
    def target_topic(self) -> str:
        """Where the events of a source go."""
        return self.to_topic or default_topic(self.here.url)

    def check(self) -> None:
        """Look for what makes no sense.

        Raises:
            ConfigError: something does not.
        """
        if self.ttl_s is not None and not self.cache:
            raise ConfigError("--ttl is for --as cache: a log keeps events as its topic says")
        if source_of(self.there.url) is not None:
            raise ConfigError(f"{self.there.url!r} is a source: a bridge cannot lead there")
        if self.here.name == self.there.name and not self.cache:
            raise ConfigError(
                f"both sides are the same transport, {self.here.name}; within one, events are "
                "passed on by `app.route`; if they are two, give --from-name or --to-name"
            )
        for name in (*self.topics, self.target_topic):
            check_topic(name)
        if self.source is None and not self.topics:
            raise ConfigError("name what is to be copied: --topic NAME, once or several times")
        if self.source is not None and self.topics:
            raise ConfigError("a source has no topics: leave --topic out, or give --to-topic")

    def described(self, *, pid: int) -> dict[str, object]:
        """Return what a program wants to know."""
        return {
            "from": masked(self.here.url),
            "to": masked(self.there.url),
            "topics": list(self.topics) or [self.target_topic],
            "group": self.named_group,
            "pid": pid,
        }

    def sentence(self) -> str:
        """Return what a person wants to know."""
        topics = ", ".join(self.topics) or "what comes"
        target = f" as {self.target_topic}" if self.to_topic or self.source else ""
        return masked(
            f"{topics} from {self.here.url} ({self.here.name}) to {self.there.url} "
            f"({self.there.name}){target}; group {self.named_group}"
        )


class BridgeWork(msgspec.Struct, frozen=True):
    """A bridge at work in this process."""

    bridge: Bridge
    counts: Counts
    store: str  # the URL of its progress and dead letters


class _Ends(msgspec.Struct, frozen=True):
    """What both kinds of bridges are made of."""

    picker: Picker
    target: Target
    store: Store
    clock: Clock


@asynccontextmanager
async def at_work(plan: Plan, clock: Clock) -> AsyncIterator[BridgeWork]:
    """Open both sides and copy while the block runs; then finish what is in hand."""
    via = Via(plan.here.name, plan.there.name)
    picker = Picker(via, Counts(), select=plan.select, key=plan.key)
    async with (
        open_store(plan.store, clock=clock) as store,
        _target(plan, clock) as target,
    ):
        ends = _Ends(picker, target, store, clock)
        opened = _from_log(plan, ends) if plan.source is None else _from_source(plan, ends)
        async with opened as bridge:
            yield BridgeWork(bridge, picker.counts, plan.store)


def _target(plan: Plan, clock: Clock) -> AbstractAsyncContextManager[Target]:
    if plan.cache:
        return open_cache(plan.there.url, clock=clock, ttl_s=plan.ttl_s)
    return open_transport(plan.there.url, clock=clock)


@asynccontextmanager
async def _from_log(plan: Plan, ends: _Ends) -> AsyncIterator[Bridge]:
    group = plan.named_group
    await register(ends.store, group, plan.here.name, clock=ends.clock)
    processor = Copying(group, plan.topics, ends.picker, to_topic=plan.to_topic)
    async with (
        open_transport(plan.here.url, clock=ends.clock) as here,
        copying(
            processor,
            here,
            ends.target,
            ends.store,
            counts=ends.picker.counts,
            clock=ends.clock,
            settings=Settings(drain_s=plan.drain_s),
        ) as bridge,
    ):
        yield bridge


@asynccontextmanager
async def _from_source(plan: Plan, ends: _Ends) -> AsyncIterator[Bridge]:
    opener = Opener(plan.source or "", ends.clock)
    async with open_source(plan.here.url, clock=ends.clock) as source:
        draining = Draining(
            source,
            ends.target,
            ends.store.dead_letters,
            topic=plan.target_topic,
            opened=opener.event,
            picker=ends.picker,
            clock=ends.clock,
            retry=RETRY,
        )
        async with emptying(draining, drain_s=plan.drain_s) as bridge:
            yield bridge
