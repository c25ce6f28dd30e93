"""Batch by batch: one call of the processor, one commit, then the next."""

from msgspec.structs import replace

from motet.core.errors import WrongVersion
from motet.core.event import Batch
from motet.core.outcome import Failure, Outcome
from motet.core.ports import Clock, Processor, Store
from motet.runtime.ledger import Ledger
from motet.runtime.pump import Source
from motet.runtime.readings import Done
from motet.runtime.settings import Settings

_SMALLEST = 16
_CONFLICTS = 3  # a record alone that loses so often fails, and is tried again as others are


class BatchWork:
    """Runs a processor with `Concurrency.BATCH`.

    The size of a batch follows its latency: one that took longer than the target halves the
    next, a full one that took less than half of it doubles the next, up to `max_records`. A batch
    that meets a `WrongVersion` is done again record by record, so that it costs no other.
    """

    def __init__(
        self, processor: Processor, store: Store, *, clock: Clock, settings: Settings
    ) -> None:
        self._processor = processor
        self._store = store
        self._clock = clock
        self._settings = settings
        self._size = settings.max_records
        self._conflicts = 0

    async def run(self, source: Source, ledger: Ledger) -> None:
        """Work until the source stops or its lease is lost."""
        while not source.stopping:
            if due := await ledger.due(self._size):
                await self._handle(ledger, Done(due, ()))
            due_s = ledger.due_in_s()
            poll_s = self._settings.poll_s
            batch = await source.fetch(
                max_records=self._size, max_wait_s=poll_s if due_s is None else min(due_s, poll_s)
            )
            if batch is None:
                return
            if batch.records or batch.broken:
                records = ledger.offsets.pass_over(batch.records, batch.end)
                broken = ledger.offsets.pass_over(batch.broken, batch.end)
                first, repeats = await ledger.first_copies(records)
                free, behind = ledger.split(first)
                await self._handle(ledger, Done(free, (), behind, broken, repeats=repeats))
                await source.lease.ack(ledger.progress.next)
            elif batch.end > ledger.progress.next:
                ledger.offsets.pass_over((), batch.end)  # retention emptied what we had not read
                await ledger.commit(Done((), ()))
            elif await ledger.moved():
                await source.lease.seek(await ledger.resume())

    async def _handle(self, ledger: Ledger, given: Done) -> None:
        records = given.records
        before_s = self._clock.monotonic_s()
        outcome = await self._processor.process(
            Batch(ledger.partition, tuple(records)),
            self._store.state(ledger.group),
            now_us=self._clock.now_us(),
        )
        seconds = self._clock.monotonic_s() - before_s
        try:
            await ledger.commit(replace(given, outcomes=(outcome,), seconds=seconds))
        except WrongVersion as err:
            self._conflicts += 1
            if len(records) > 1 or self._conflicts < _CONFLICTS:
                self._size = 1  # again, one by one; `_fit` lets it grow
                raise
            failed = Outcome(failures=(Failure(records[0], err),))
            await ledger.commit(replace(given, outcomes=(failed,), seconds=seconds))
        self._conflicts = 0
        self._fit(len(records), seconds)

    def _fit(self, count: int, seconds: float) -> None:
        target_s = self._settings.target_latency_s
        if seconds > target_s:
            self._size = max(_SMALLEST, self._size // 2)
        elif count >= self._size and seconds < target_s / 2:
            self._size = min(self._settings.max_records, self._size * 2)
