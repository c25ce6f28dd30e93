"""What `motet doctor` looks at besides the file: Python, and the work."""

import platform
import sys
from collections.abc import Mapping, Sequence

from motet.app import App
from motet.backends import Backends
from motet.cli.tables import counted
from motet.core.checks import Check, ok, warn
from motet.core.ports import Clock, Guarantee, Status, Transport
from motet.handlers import DeliveryMode
from motet.telemetry import lags

_LATE_US = 60_000_000  # an event that waits longer than this after its time waits for a relay


def check_python() -> Check:
    """Say which Python this is; one that is too old cannot install Motet."""
    return ok("python", f"{platform.python_version()} at {sys.executable}")


def check_deliveries(transport: Transport, shop: App | None) -> list[Check]:
    """Say in words what is promised to handlers, or to each group of an application."""
    if shop is None:
        return [ok("guarantees", "; ".join(promises(transport.guarantees, "store")))]
    modes = {group: shop.delivery(group, transport) for group in shop.groups()}
    return [
        ok(f"group {group}", f"delivery {mode}: " + "; ".join(promises(transport.guarantees, mode)))
        for group, mode in modes.items()
    ]


def promises(guarantees: Guarantee, delivery: DeliveryMode) -> Sequence[str]:
    """Return what a handler can rely on, in words."""
    said = _effects(guarantees, delivery)
    if Guarantee.ORDERED in guarantees:
        said.append("events of one key: in order")
    if Guarantee.REPLAYABLE in guarantees:
        said.append("old events: can be read again until retention removes them")
    said.append("calls to the outside from a handler: at least once")
    return said


def _effects(guarantees: Guarantee, delivery: DeliveryMode) -> list[str]:
    if delivery == "transport":
        return [
            "state: none is kept",
            "emitted events: at least once, with stable ids by which readers drop repeats",
        ]
    if Guarantee.SHARED_TX in guarantees:
        emitted = "emitted events: exactly once, in the same transaction as the state"
    elif Guarantee.DEDUPLICATED in guarantees:
        emitted = "emitted events: exactly once in the log, by their stable ids"
    else:
        emitted = "emitted events: at least once, with stable ids by which readers drop repeats"
    return ["state and streams: exactly once", emitted]


async def check_work(backends: Backends, clock: Clock, *, members: int | None) -> list[Check]:
    """Look at lag, parked records, outbox and dead letters. `members=None`: not known."""
    topics = await backends.transport.topics()
    places = lags(topics, await backends.store.groups(), {})
    behind, parked = sum(p.lag for p in places), sum(p.parked for p in places)
    next_us = await backends.store.outbox.next_due_us()
    counts = await backends.store.dead_letters.counts()
    checks = [_lag(behind, members), _parked(parked), _outbox(next_us, clock.now_us())]
    return [*checks, _dead_letters(counts)]


def _lag(behind: int, members: int | None) -> Check:
    found = f"consumer groups are behind by {counted(behind, 'event')}"
    if behind and members == 0:
        return warn("lag", f"{found}, and nobody works", "start `motet run` or `motet worker`")
    return ok("lag", found)


def _parked(parked: int) -> Check:
    found = f"{counted(parked, 'record')} parked for another try"
    if parked:
        return warn("parked", found, "`motet groups` shows where")
    return ok("parked", found)


def _outbox(next_us: int | None, now_us: int) -> Check:
    if next_us is None:
        return ok("outbox", "empty")
    late_us = now_us - next_us
    if late_us > _LATE_US:
        return warn(
            "outbox",
            f"an event should have gone out {late_us // 1_000_000} s ago",
            "start `motet run` or `motet worker`: the relay runs in them",
        )
    return ok("outbox", "events wait for their time")


def _dead_letters(counts: Mapping[tuple[str, str], int]) -> Check:
    fresh = {code: n for (status, code), n in counts.items() if status == Status.NEW.value}
    found = f"{counted(sum(counts.values()), 'dead letter')}, {sum(fresh.values()):,} new"
    if fresh:
        codes = ", ".join(f"{code or 'no code'} {n:,}" for code, n in sorted(fresh.items()))
        return warn("dead letters", f"{found}: {codes}", "look with `motet dlq list --status new`")
    return ok("dead letters", found)
