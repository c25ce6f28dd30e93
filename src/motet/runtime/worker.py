"""A worker: one processor, on as many partitions of its topics as the group gives it."""

import asyncio
from collections.abc import Callable

from motet.core.ports import Clock, Concurrency, Lease, Processor, Readable, Store, Subscription
from motet.resilience import BackPressure, RetryPolicy
from motet.runtime.admission import Admission
from motet.runtime.batches import BatchWork
from motet.runtime.lanes import LaneWork
from motet.runtime.ledger import Ledger
from motet.runtime.pump import Pump, Work
from motet.runtime.settings import Settings
from motet.telemetry import Metrics, bind


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
        self._metrics = metrics or Metrics()
        self._committed = committed or _nobody
        self._log = bind(__name__, group=processor.name)
        self._pumps: dict[Pump, None] = {}  # a set's order is chance, and `stop` goes through it
        self._stopping = asyncio.Event()
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
        """Why partitions do not move at present; empty when all is well."""
        return [pump.problem for pump in self._pumps if pump.problem]

    async def run(self) -> None:
        """Run until cancelled, or until `stop` was called and what was in hand is committed.

        A batch in hand at a cancellation is committed or not, never in part.
        """
        topics = self._processor.topics
        # The group is left last: leases are held until what is in hand is committed.
        async with (
            self._transport.subscribe(topics, group=self.group) as leases,
            asyncio.TaskGroup() as tasks,
        ):
            intake = tasks.create_task(self._intake(leases, tasks), name=f"{self.group}/leases")
            await self._stopping.wait()
            intake.cancel()
            self._log.debug("worker.drain", extra={"leases": self.leases})

    def stop(self) -> None:
        """Fetch nothing more; `run` returns once what is in hand is committed."""
        self._stopping.set()
        for pump in self._pumps:
            pump.stop()

    async def _intake(self, leases: Subscription, tasks: asyncio.TaskGroup) -> None:
        async for lease in leases:
            tasks.create_task(self._pump(lease), name=f"{self.group}/{lease.partition}")

    async def _pump(self, lease: Lease) -> None:
        ledger = Ledger(
            lease.partition,
            self._processor,
            self._store,
            clock=self._clock,
            retry=self._retry,
            metrics=self._metrics,
            committed=self._committed,
        )
        pump = Pump(lease, self._work(), ledger, clock=self._clock, retry=self._retry)
        self._pumps[pump] = None
        self._log.debug("lease.taken", extra={"partition": str(lease.partition)})
        try:
            if not self._stopping.is_set():
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
