"""A worker: one processor, on as many partitions of its topics as the group gives it."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from motet.core.errors import TransientError
from motet.core.ports import (
    Clock,
    Concurrency,
    Guarantee,
    Lease,
    Processor,
    Readable,
    Store,
    Subscription,
)
from motet.resilience import BackPressure, RetryPolicy
from motet.runtime.admission import Admission
from motet.runtime.batches import BatchWork
from motet.runtime.interrupts import Interruptible
from motet.runtime.lanes import LaneWork
from motet.runtime.ledger import Ledger
from motet.runtime.pump import Pump, Work
from motet.runtime.readings import Reading
from motet.runtime.reports import Report
from motet.runtime.retry_topics import trouble_of
from motet.runtime.settings import Settings
from motet.telemetry import Metrics, bind

_REJOIN_S = 0.1  # shortest pause: a policy without delays is meant for handlers


class Worker:
    """Runs one processor on every partition that is leased to it."""

    def __init__(
        self,
        processor: Processor,
        transport: Readable,
        store: Store,
        *,
        clock: Clock,
        retry: RetryPolicy | None = None,
        settings: Settings | None = None,
        metrics: Metrics | None = None,
        committed: Callable[[], None] | None = None,
    ) -> None:
        self._processor = processor
        self._transport = transport
        self._store = store
        self._clock = clock
        self._retry = retry or RetryPolicy()
        self._settings = settings or Settings()
        self._report = Report(metrics or Metrics(), committed or _nobody)
        self._log = bind(__name__, group=processor.name)
        self._pumps: dict[Pump, None] = {}  # a set's order is chance, and `stop` goes through it
        self._stopping = asyncio.Event()
        self._parting = asyncio.Event()  # of this membership in the group
        self._lost: TransientError | None = None  # why no more leases come
        self._waiting = Interruptible()  # to join the group, or to try that again
        self._failures = 0  # to join, in a row
        self._problem = ""
        self._leases: Subscription | None = None  # while in the group
        self.limit = BackPressure(
            max_in_flight=self._settings.max_in_flight,
            target_latency_s=self._settings.target_latency_s,
        )
        self._admission = Admission(self.limit)

    @property
    def group(self) -> str:
        """The consumer group: the processor's name."""
        return self._processor.name

    @property
    def topics(self) -> frozenset[str]:
        """What it reads."""
        return self._processor.topics

    @property
    def leases(self) -> int:
        """Number of partitions at work here."""
        return len(self._pumps)

    @property
    def problems(self) -> list[str]:
        """Why it has no leases, or partitions do not move at present; empty when all is well."""
        found = [self._problem] if self._problem else []
        if trouble := trouble_of(self._leases):
            found.append(f"{self.group}: not in its group: {trouble}")
        return found + [pump.problem for pump in self._pumps if pump.problem]

    async def run(self) -> None:
        """Run until cancelled, or until `stop` was called and what was in hand is committed.

        A group that cannot be joined, or whose leases no longer come, is joined again, with the
        delays of the retry policy and for as long as it takes; `problems` says so meanwhile. A
        batch in hand at a cancellation is committed or not, never in part.
        """
        while not self._stopping.is_set():
            try:
                await self._take_part()
            except TransientError as err:
                self._failures += 1
                delay_s = self._retry.outage_s(self._failures, random=self._clock.random())
                self._problem = f"{self.group}: not in its group: {err}"
                self._log.warning("group.lost", extra={"error": str(err), "retry_in_s": delay_s})
                if not self._stopping.is_set():
                    await self._waiting.run(self._clock.sleep(max(delay_s, _REJOIN_S)), None)

    def stop(self) -> None:
        """Fetch nothing more; `run` returns once what is in hand is committed."""
        self._stopping.set()
        self._waiting.interrupt()
        self._part()

    async def _take_part(self) -> None:
        """Join the group and work on what it leases, until `stop`.

        Raises:
            TransientError: it could not be joined, or no more leases come.
        """
        self._parting, self._lost = asyncio.Event(), None
        # The group is left last: leases are held until what is in hand is committed.
        async with AsyncExitStack() as stack:
            joining = self._transport.subscribe(self._processor.topics, group=self.group)
            leases = await self._waiting.run(stack.enter_async_context(joining), None)
            if leases is None:
                return
            self._problem = ""
            self._leases = leases
            stack.callback(self._forget_leases)
            async with asyncio.TaskGroup() as tasks:
                intake = tasks.create_task(self._intake(leases, tasks), name=f"{self.group}/leases")
                await self._parting.wait()
                intake.cancel()
                self._log.debug("worker.drain", extra={"leases": self.leases})
        if self._lost is not None:
            raise self._lost

    def _forget_leases(self) -> None:
        self._leases = None

    def _part(self) -> None:
        self._parting.set()
        for pump in self._pumps:
            pump.stop()

    async def _intake(self, leases: Subscription, tasks: asyncio.TaskGroup) -> None:
        try:
            async for lease in leases:
                self._failures = 0
                tasks.create_task(self._pump(lease), name=f"{self.group}/{lease.partition}")
        except TransientError as err:
            self._lost = err
            self._part()

    async def _pump(self, lease: Lease) -> None:
        reading = Reading(
            self.group,
            lease.partition,
            parks=self._processor.parks,
            repeats=Guarantee.DEDUPLICATED not in self._transport.guarantees,
        )
        ledger = Ledger(
            reading, self._store, clock=self._clock, retry=self._retry, report=self._report
        )
        pump = Pump(lease, self._work(), ledger, clock=self._clock, retry=self._retry)
        self._pumps[pump] = None
        self._log.debug("lease.taken", extra={"partition": str(lease.partition)})
        try:
            if not self._parting.is_set():
                await pump.run()
        finally:
            del self._pumps[pump]
            self._log.debug("lease.left", extra={"partition": str(lease.partition)})

    def _work(self) -> Work:
        if self._processor.concurrency is Concurrency.BATCH:
            return BatchWork(
                self._processor, self._store, clock=self._clock, settings=self._settings
            )
        return LaneWork(
            self._processor,
            self._store,
            clock=self._clock,
            settings=self._settings,
            admission=self._admission,
        )


def _nobody() -> None:
    """Nobody waits for commits."""
