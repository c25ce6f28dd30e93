"""One lease: fetch, handle, commit, again.

```
 lease.fetch ─▶ Ledger.split ─▶ processor.process ─▶ Ledger.commit ─▶ lease.ack
                     ▲  parked records whose time has come
```

Whatever goes wrong, the answer is the same: forget what is in memory, read progress again from
the store and go on from there.
"""

from typing import Protocol

from motet.core.errors import ConcurrencyError, MotetError, TransientError
from motet.core.event import Batch
from motet.core.ports import Clock, Lease
from motet.resilience import RetryPolicy
from motet.runtime.interrupts import Interruptible
from motet.runtime.ledger import Ledger
from motet.telemetry import bind

_RELOADS = 5  # in a row without a commit in between, before giving way
_GIVE_WAY_S = 1.0  # longest wait then


class Source:
    """Fetches from a lease, and lets go of a waiting fetch when there is something else to do."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.stopping = False
        self.quiet = False  # the transport has answered that nothing is there to be read
        self._fetching = Interruptible()

    async def fetch(self, *, max_records: int, max_wait_s: float) -> Batch | None:
        """Return the next records; an empty batch when interrupted; None once the lease is lost."""
        tick = Batch(self.lease.partition)
        if self.stopping:
            return tick
        fetching = self.lease.fetch(max_records=max_records, max_wait_s=max_wait_s)
        batch = await self._fetching.run(fetching, tick)
        self.quiet |= batch is not None and batch is not tick and not batch.records
        return batch

    def interrupt(self) -> None:
        """End a waiting fetch now; nothing is lost, for a fetch is safe to cancel."""
        self._fetching.interrupt()

    def stop(self) -> None:
        """Fetch nothing more."""
        self.stopping = True
        self.interrupt()


class Work(Protocol):
    """A way of calling a processor: batch by batch, or key by key."""

    async def run(self, source: Source, ledger: Ledger) -> None:
        """Work until the source stops or its lease is lost; in hand is then committed, or left.

        Raises:
            ConcurrencyError: progress has to be read again.
            TransientError: the store or the transport failed for now.
        """
        ...


class Pump:
    """Keeps one lease at work: reloads after a conflict, waits out what is transient."""

    def __init__(
        self, lease: Lease, work: Work, ledger: Ledger, *, clock: Clock, retry: RetryPolicy
    ) -> None:
        self._source = Source(lease)
        self._work = work
        self._ledger = ledger
        self._clock = clock
        self._retry = retry
        self._pausing = Interruptible()
        self._problem = ""
        self._commits = 0  # of the ledger, when the problem was met

    @property
    def problem(self) -> str:
        """Why nothing moves at present; empty once something was committed, or nothing is left."""
        well = self._source.quiet or self._ledger.commits > self._commits
        return "" if well else self._problem

    async def run(self) -> None:
        """Work until the lease is lost or `stop` is called."""
        failures, reloads, version = 0, 0, -1
        log = bind(__name__, group=self._ledger.group, partition=str(self._ledger.partition))
        while not self._source.stopping:
            try:
                await self._source.lease.seek(await self._ledger.resume())
                await self._work.run(self._source, self._ledger)
            except ConcurrencyError as err:
                reloads = 1 if self._ledger.progress.version > version else reloads + 1
                version = self._ledger.progress.version
                log.info("progress.reload", extra={"reason": str(err)})
                if reloads > _RELOADS:  # nothing moves: give way
                    self._met(err)
                    await self._pause(self._clock.random() * _GIVE_WAY_S)
            except TransientError as err:
                failures = 1 if self._ledger.progress.version > version else failures + 1
                version = self._ledger.progress.version
                delay_s = self._retry.outage_s(failures, random=self._clock.random())
                self._met(err)
                log.warning("unavailable", extra={"error": str(err), "retry_in_s": delay_s})
                await self._pause(delay_s)
            else:
                return

    def stop(self) -> None:
        """Finish and commit what is in hand, then return from `run`."""
        self._source.stop()
        self._pausing.interrupt()

    def _met(self, error: MotetError) -> None:
        self._problem = f"{self._ledger.group} {self._ledger.partition}: {error}"
        self._commits = self._ledger.commits
        self._source.quiet = False

    async def _pause(self, delay_s: float) -> None:
        if not self._source.stopping:
            await self._pausing.run(self._clock.sleep(delay_s), None)
