"""What a demo ends with: how the orders ended, how fast, and what failed for good."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from motet.core.ports import Status, Store, StoredDeadLetter, Transport

from .pipeline import OUTCOMES, PARTITIONS, TALLY
from .tally import Tally

SHOWN = (
    "PROCESSED",
    "REVIEW",
    "BLOCKED",
    "OUT_OF_STOCK",
    "PAYMENT_DECLINED",
    "INVALID",
    "MALFORMED",
    "DEAD",
)
"""Every outcome, in the order in which they are shown."""

_PAGE = 500
_PAYLOAD = re.compile(r"payload of \S+ version \d+: ")
_INDEX = re.compile(r"\[\d+\]")


class Reason(msgspec.Struct, frozen=True):
    """Dead letters of one group that failed alike."""

    group: str  # "" for the edge: refused before it was in the log
    code: str
    reason: str
    count: int


class Work(msgspec.Struct, frozen=True):
    """What one run did, and how fast; a run that found nothing to do has no rates."""

    orders: int
    events: int  # put into the log, over all topics
    seconds: float
    orders_per_s: float | None
    events_per_s: float | None


class Latency(msgspec.Struct, frozen=True):
    """From `order.created` published to `order.processed` read by the next service."""

    p50_ms: float | None  # exact to 1 %; over all runs in this folder, the time between them too
    p99_ms: float | None


class Report(msgspec.Struct, frozen=True):
    """The result, as `motet demo --json` prints it."""

    outcomes: dict[str, int]  # each order once
    orders: int
    lines: int  # events that came in, copies and malformed ones included
    duplicates: int  # of them, second copies, worked once
    source: str  # "CDNOW" or "generated"
    source_detail: str
    latency: Latency
    run: Work
    dead_letters: list[Reason]
    events: int  # in the log, over all topics
    url: str  # of the database
    api: str  # where it was served


class Standing(msgspec.Struct, frozen=True):
    """How orders ended so far: one look at the state and the dead letters' counts."""

    tally: Tally
    malformed: int
    dead: int

    @property
    def ended(self) -> int:
        """Orders that are over."""
        return self.tally.orders + self.malformed + self.dead

    @property
    def outcomes(self) -> dict[str, int]:
        """Orders by outcome, in the order in which outcomes are shown."""
        found = self.tally.outcomes | {"MALFORMED": self.malformed, "DEAD": self.dead}
        return {outcome: found.get(outcome, 0) for outcome in SHOWN}


async def standing(store: Store) -> Standing:
    """Reads how orders ended so far. A dead letter that was given back is no end."""
    value = (await store.state("outcomes").get_many([TALLY])).get(TALLY)
    tally = Tally() if value is None else msgspec.json.decode(value.value, type=Tally)
    by_code = Counter[str]()
    for (status, code), count in (await store.dead_letters.counts()).items():
        if status != Status.RETRIED.value:
            by_code[code] += count
    malformed = by_code.pop("CodecError", 0)
    return Standing(tally, malformed, by_code.total())


async def count_events(transport: Transport) -> int:
    """Counts what the pipeline has in the log, by its partitions' ends."""
    topics = await transport.topics()
    return sum(sum(topic.ends) for topic in topics if topic.name in PARTITIONS)


async def reasons(store: Store) -> list[Reason]:
    """Groups the dead letters by what went wrong, the most frequent first."""
    found: Counter[tuple[str, str, str]] = Counter()
    after = 0
    while page := await store.dead_letters.list(after=after, limit=_PAGE):
        found.update(_kind(stored) for stored in page if stored.status is not Status.RETRIED)
        after = page[-1].id
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [Reason(*kind, count) for kind, count in ranked]


def _kind(stored: StoredDeadLetter) -> tuple[str, str, str]:
    """Leaves out of a message what differs from letter to letter: bytes and places."""
    error = stored.letter.error
    if _PAYLOAD.match(error.message):
        reason = _INDEX.sub("[]", _PAYLOAD.sub("", error.message))
    else:
        reason = error.message.partition(":")[0].partition(" (at")[0]
    return stored.letter.group, error.code, reason


def latency(tally: Tally) -> Latency:
    """Gives the quantiles in milliseconds."""
    p50_us, p99_us = tally.quantile_us(0.5), tally.quantile_us(0.99)
    return Latency(_ms(p50_us), _ms(p99_us))


def _ms(time_us: int | None) -> float | None:
    return None if time_us is None else round(time_us / 1000, 1)


def work(*, orders: int, events: int, seconds: float) -> Work:
    """Gives what a run did with its rates."""
    if not orders or not seconds:
        return Work(orders, events, round(seconds, 3), None, None)
    return Work(
        orders, events, round(seconds, 3), round(orders / seconds, 1), round(events / seconds, 1)
    )


def next_steps(url: str, api: str | None) -> Sequence[str]:
    """Lists where to look next; `api` is None once it is no longer served."""
    where = f"--url {url}"
    steps = [
        f"motet tail {OUTCOMES} {where}",
        f"motet dlq list {where}",
        f"motet groups {where}",
        f"motet topics {where}",
    ]
    return [*steps, f"curl {api}/v1/dead-letters"] if api else steps
