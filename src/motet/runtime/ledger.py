"""Where one group stands in one partition, and the commits that move it on."""

from collections.abc import Iterable, Sequence

import msgspec

from motet.core.errors import Fenced
from motet.core.event import Broken, Record
from motet.core.outcome import Commit, Failure
from motet.core.ports import Clock, Progress, Store
from motet.resilience import RetryPolicy
from motet.runtime.failures import Disposition, dead_bytes, dispose
from motet.runtime.inbox import Inbox
from motet.runtime.offsets import Offsets
from motet.runtime.readings import Done, Reading
from motet.runtime.reports import Report


class Ledger:
    """Progress in memory, always as of the last commit; the store's copy is the true one.

    Each commit carries the progress version it was computed from. If another worker or a
    redrive moved progress meanwhile, the commit fails with `Fenced` and `resume` starts afresh.
    """

    def __init__(
        self, reading: Reading, store: Store, *, clock: Clock, retry: RetryPolicy, report: Report
    ) -> None:
        self.partition = reading.partition
        self.group = reading.group
        self.progress = Progress()
        self.offsets = Offsets(next_offset=0, ahead=())
        self.commits = 0  # made here, by this ledger
        self._reading = reading
        self._store = store
        self._clock = clock
        self._retry = retry
        self._report = report
        self._held: dict[str, set[int]] = {}  # by key: offsets to be parked by a commit to come
        self._inbox = (
            Inbox(store, group=self.group, topic=self.partition.topic) if reading.repeats else None
        )

    async def resume(self) -> int:
        """Read progress from the store; return the offset to read on from."""
        self.progress = await self._store.progress(self.group, self.partition)
        self.offsets = Offsets(next_offset=self.progress.next, ahead=self.progress.ahead)
        self._held.clear()
        if self._inbox is not None:
            self._inbox.forget()
        return self.progress.next

    async def moved(self) -> bool:
        """Whether somebody else changed progress since: a redrive, or another worker."""
        now = await self._store.progress(self.group, self.partition)
        return now.version != self.progress.version

    def due_in_s(self) -> float | None:
        """Seconds until a parked record is due, 0 if one is; None if nothing is parked."""
        if self.progress.due_us is None:
            return None
        return max(0.0, (self.progress.due_us - self._clock.now_us()) / 1e6)

    async def due(self, limit: int) -> Sequence[Record]:
        """Parked records whose next try is due, in order per key."""
        if self.due_in_s() != 0.0:
            return ()
        return await self._store.parked(
            self.group, self.partition, now_us=self._clock.now_us(), limit=limit
        )

    async def first_copies(
        self, records: Sequence[Record]
    ) -> tuple[Sequence[Record], Sequence[Record]]:
        """Separate what was just read from repeats of what the group has taken charge of.

        Where the log may have repeats, that is one round trip; the answer has to be used, by
        `split` or a commit, before the next is asked for.
        """
        if self._inbox is None or not records:
            return records, ()
        return await self._inbox.sort(records)

    def split(self, records: Sequence[Record]) -> tuple[Sequence[Record], list[Failure]]:
        """Separate what may be handled from what has to queue behind parked records of its key."""
        parked, held = self.progress.parked_keys, self._held
        if not self._reading.parks or not (parked or held):
            return records, []
        free: list[Record] = []
        behind: list[Failure] = []
        for record in records:
            if record.event.key in parked or record.event.key in held:
                behind.append(Failure(record))
                # The key may be done with all its parked rows before this one is among them.
                self.hold(record)
            else:
                free.append(record)
        return free, behind

    def hold(self, record: Record) -> None:
        """Let nothing of this record's key pass until its failure is committed."""
        self._held.setdefault(record.event.key, set()).add(record.offset)

    async def commit(self, done: Done) -> None:
        """Commit what was handled together with progress; durable on return.

        Offsets and progress version are read before the first await: what finishes during the
        commit belongs to the next one.

        Raises:
            WrongVersion: an outcome was computed from a value or a stream that has changed since;
                nothing is committed, and the ledger stands where it stood.
            Fenced: somebody else moved progress; `resume` before the next commit.
        """
        failures = [*done.behind, *(f for each in done.outcomes for f in each.failures)]
        failures.sort(key=_offset)  # rows of one key are parked in the order they came
        fate = self._dispose(failures, done.broken)
        failed = {id(failure.record) for failure in failures}
        settled = tuple(r.parked for r in done.records if r.parked and id(r) not in failed)
        handled = done.ids() if self._inbox is not None else ()
        finishing = [offset for offset in done.offsets() if self.offsets.is_open(offset)]
        next_offset, ahead = self.offsets.progress(finishing)
        version = self.progress.version
        await self._store.commit(
            Commit(
                group=self.group,
                partition=self.partition,
                version=version,
                next=next_offset,
                ahead=ahead,
                outcomes=tuple(done.outcomes),
                parks=fate.parks,
                retried=fate.retried,
                settled=settled + fate.settled,
                dead=fate.dead,
                handled=handled,
            )
        )
        self.commits += 1
        if self._inbox is not None:
            self._inbox.committed(handled)
        for offset in finishing:
            self.offsets.done(offset)
        self.offsets.forget_below(next_offset)
        if failures or settled:
            # What is parked now, and when the next is due, is the store's to say.
            self.progress = await self._store.progress(self.group, self.partition)
            if self.progress.version != version + 1:
                raise Fenced(f"progress of {self.group!r} in {self.partition} moved")
            self._release(failures)
        else:
            self.progress = msgspec.structs.replace(
                self.progress, next=next_offset, version=version + 1, ahead=ahead
            )
        self._report.commit(self._reading, done, failed, fate)

    def _dispose(self, failures: Sequence[Failure], broken: Sequence[Broken]) -> Disposition:
        if not failures and not broken:
            return Disposition()
        fate = dispose(
            failures,
            group=self.group,
            partition=self.partition,
            policy=self._retry,
            clock=self._clock,
        )
        now_us = self._clock.now_us()
        letters = tuple(
            dead_bytes(each, group=self.group, partition=self.partition, now_us=now_us)
            for each in broken
        )
        return msgspec.structs.replace(fate, dead=fate.dead + letters)

    def _release(self, failures: Iterable[Failure]) -> None:
        for failure in failures:
            key = failure.record.event.key
            held = self._held.get(key, set())
            held.discard(failure.record.offset)
            if not held:
                self._held.pop(key, None)


def _offset(failure: Failure) -> int:
    return failure.record.offset
