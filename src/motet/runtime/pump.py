"""One lease: fetch, handle, commit, again.

```
 lease.fetch ─▶ Ledger.split ─▶ processor.process ─▶ Ledger.commit ─▶ lease.ack
                     ▲  parked records whose time has come
```

Whatever goes wrong, the answer is the same: forget what is in memory, read progress again from
the store and go on from there.
"""

import asyncio
from typing import Protocol

from motet.core.errors import ConcurrencyError, TransientError
from motet.core.event import Batch
from motet.core.ports import Clock, Lease
from motet.resilience import RetryPolicy
from motet.runtime.ledger import Ledger
from motet.telemetry import bind

_RELOADS = 5  # in a row without a commit in between, before giving way
_GIVE_WAY_S = 1.0  # longest wait then


class Source:
    """Fetches from a lease, and lets go of a waiting fetch when there is something else to do."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.stopping = False
        self._scope: asyncio.Timeout | None = None

    async def fetch(self, *, max_records: int, max_wait_s: float) -> Batch | None:
        """Return the next records; an empty batch when interrupted; None once the lease is lost."""
        if self.stopping:
            return Batch(self.lease.partition)
        try:
            async with asyncio.timeout(None) as self._scope:
                return await self.lease.fetch(max_records=max_records, max_wait_s=max_wait_s)
        except TimeoutError:
            return Batch(self.lease.partition)
        finally:
            self._scope = None

    def interrupt(self) -> None:
        """End a waiting fetch now; nothing is lost, for a fetch is safe to cancel."""
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())
            self._scope = None  # once is enough, and a scope that expires may not be changed

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
        self.problem = ""  # why nothing moves at present; empty when all is well

    async def run(self) -> None:
        """Work until the lease is lost or `stop` is called."""
        failures, reloads, version = 0, 0, -1
        log = bind(__name__, group=self._ledger.group, partition=str(self._ledger.partition))
        while not self._source.stopping:
            try:
                await self._source.lease.seek(await self._ledger.resume())
                self.problem = ""
                await self._work.run(self._source, self._ledger)
            except ConcurrencyError as err:
                reloads = 1 if self._ledger.progress.version > version else reloads + 1
                version = self._ledger.progress.version
                log.info("progress.reload", extra={"reason": str(err)})
                if reloads > _RELOADS:  # nothing moves: give way
                    self.problem = f"{self._ledger.group} {self._ledger.partition}: {err}"
                    await self._clock.sleep(self._clock.random() * _GIVE_WAY_S)
            except TransientError as err:
                failures = 1 if self._ledger.progress.version > version else failures + 1
                version = self._ledger.progress.version
                delay_s = self._retry.delay_s(failures, random=self._clock.random())
                self.problem = f"{self._ledger.group} {self._ledger.partition}: {err}"
                log.warning("unavailable", extra={"error": str(err), "retry_in_s": delay_s})
                await self._clock.sleep(delay_s)
            else:
                return

    def stop(self) -> None:
        """Finish and commit what is in hand, then return from `run`."""
        self._source.stop()
