"""Commits for tests of stores: all of one group in one partition unless said otherwise."""

from contextlib import AbstractAsyncContextManager

import msgspec

from motet.core.event import Partition, Record
from motet.core.outcome import Commit, DeadLetter, Emit, ErrorInfo, Outcome, Park, Put
from motet.core.ports import Store
from motet.testing.events import make_event

GROUP = "g"
PARTITION = Partition("t", 0)
FAR_US = 2**53
"""Later than anything is due."""


class StoreSuite:
    """What the parts of `StoreContract` have in common."""

    def make(self) -> AbstractAsyncContextManager[Store]:
        """Return a fresh, empty store whose emits all go to the outbox; closed on leaving."""
        raise NotImplementedError


def step(version: int = 0, **parts: object) -> Commit:
    """A commit computed from progress version `version`; `next` is 1 unless given."""
    plain = Commit(GROUP, PARTITION, version, next=1)
    return msgspec.structs.replace(plain, **parts)


def puts(*of: tuple[str, bytes | None, int]) -> tuple[Outcome, ...]:
    """One outcome with these puts: key, value, expected version."""
    return (Outcome(puts=tuple(Put(*each) for each in of)),)


def emits(*of: tuple[str, int, int]) -> tuple[Outcome, ...]:
    """One outcome with these emits: topic, number of the event, instant it is due."""
    return (Outcome(emits=tuple(Emit(t, make_event(n), not_before_us=d) for t, n, d in of)),)


def park(offset: int, key: str = "k", *, due_us: int = 0, row: int = 0, attempt: int = 2) -> Park:
    """A parked record; its event has the offset's number."""
    record = Record(make_event(offset, key=key), offset, attempt=attempt, parked=row)
    return Park(record, due_us, ErrorInfo("Boom", "it broke"), first_failed_us=1)


def letter(number: int = 1, key: str = "k", **fields: object) -> DeadLetter:
    """A dead letter of the group; its event has this number, and its offset too."""
    plain = DeadLetter(
        topic=PARTITION.topic,
        partition=PARTITION.index,
        offset=number,
        group=GROUP,
        key=key,
        event_type="thing.happened",
        value=msgspec.json.encode(make_event(number, key=key)),
        error=ErrorInfo("Boom", "it broke", stack="line 1", fingerprint="f00"),
        attempts=5,
        first_failed_us=1_767_225_600_000_000,
    )
    return msgspec.structs.replace(plain, **fields)


async def waiting(store: Store, *, now_us: int = FAR_US, limit: int = 1000) -> list[Record]:
    """What is parked and due."""
    return list(await store.parked(GROUP, PARTITION, now_us=now_us, limit=limit))


async def offsets(store: Store, *, now_us: int = FAR_US) -> list[int]:
    """Offsets of what is parked and due, key by key (`sorted` by key, in order within one)."""
    records = await waiting(store, now_us=now_us)
    return [r.offset for r in sorted(records, key=lambda r: r.event.key)]


async def values(store: Store, *keys: str, group: str = GROUP) -> dict[str, tuple[bytes, int]]:
    """State by key: value and version."""
    found = await store.state(group).get_many(keys)
    return {key: (each.value, each.version) for key, each in found.items()}


async def queued(store: Store, *, now_us: int = FAR_US, limit: int = 1000) -> list[str]:
    """Ids of the events in the outbox that are due, in order."""
    rows = await store.outbox.due(now_us=now_us, limit=limit)
    return [row.emit.event.id for row in rows]
