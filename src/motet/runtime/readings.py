"""Who reads what, and what came of it."""

from collections.abc import Sequence

import msgspec

from motet.core.event import Broken, Partition, Record
from motet.core.outcome import Failure, Outcome
from motet.runtime.pending import View


class Reading(msgspec.Struct, frozen=True):
    """One group in one partition."""

    group: str
    partition: Partition
    parks: bool  # later records of a key wait for one that failed
    repeats: bool  # the log may have an id more than once


class Done(msgspec.Struct, frozen=True):
    """Records handled and what that led to: the content of one commit."""

    records: Sequence[Record]
    outcomes: Sequence[Outcome]
    behind: Sequence[Failure] = ()  # not tried: an earlier record of their key is parked
    broken: Sequence[Broken] = ()
    seconds: float = 0.0  # time spent in the processor
    view: View | None = None  # the state it was computed from, where that may be taken back
    repeats: Sequence[Record] = ()  # of events the group has taken charge of: passed over

    def offsets(self) -> list[int]:
        """Where in the log all of it was read; records that were parked were not."""
        found = [record.offset for record in self.records if not record.parked]
        found += [broken.offset for broken in self.broken]
        return found + [record.offset for record in self.repeats]

    def ids(self) -> tuple[str, ...]:
        """Ids read from the log that this takes charge of, whatever becomes of them."""
        records = [*self.records, *(failure.record for failure in self.behind)]
        return tuple(dict.fromkeys(r.event.id for r in records if not r.parked))


def merge(done: Sequence[Done]) -> Done:
    """Return all of it as one."""
    return Done(
        records=[record for each in done for record in each.records],
        outcomes=[outcome for each in done for outcome in each.outcomes],
        behind=[failure for each in done for failure in each.behind],
        broken=[broken for each in done for broken in each.broken],
        seconds=sum(each.seconds for each in done),
        repeats=[record for each in done for record in each.repeats],
    )
