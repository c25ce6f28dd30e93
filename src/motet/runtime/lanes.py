"""Key by key: keys side by side, the records of one key one after the other.

A record that takes long holds up its own key only: what other keys finish meanwhile is committed
as `ahead` of it. How many are handled at once is up to the `BackPressure` that all partitions of
a processor share; how many are fetched and wait for it is bounded per partition.
"""

import asyncio

from motet.core.errors import ConcurrencyError, MotetError, TransientError
from motet.core.event import Batch, Record
from motet.core.ports import Clock, Processor, Store
from motet.runtime.admission import Admission
from motet.runtime.ledger import Ledger
from motet.runtime.pending import PendingState
from motet.runtime.pump import Source
from motet.runtime.readings import Done
from motet.runtime.session import Session
from motet.runtime.settings import Settings


class LaneWork:
    """Runs a processor with `Concurrency.LANES`."""

    def __init__(
        self,
        processor: Processor,
        store: Store,
        *,
        clock: Clock,
        settings: Settings,
        admission: Admission,
    ) -> None:
        self._processor = processor
        self._store = store
        self._clock = clock
        self._settings = settings
        self._admission = admission

    async def run(self, source: Source, ledger: Ledger) -> None:
        """Work until the source stops or the lease is gone, then finish what was begun.

        A lease that is given back gently waits for that; if another has it already, our
        commits are fenced, or his.
        """
        state = PendingState(self._store.state(ledger.group))

        async def handle(record: Record) -> Done | None:
            return await self._handle(source, ledger, record, state)

        try:
            async with asyncio.TaskGroup() as tasks:
                session = Session(
                    handle,
                    tasks,
                    source,
                    ledger,
                    state,
                    settings=self._settings,
                    parks=self._processor.parks,
                )
                tasks.create_task(session.commit(), name=f"{ledger.group}/commit")
                await session.feed()
        except BaseExceptionGroup as group:
            raise _first(group) from None

    async def _handle(
        self, source: Source, ledger: Ledger, record: Record, state: PendingState
    ) -> Done | None:
        """Handle one record when there is a place; None if all is to stop before it begins.

        If a lane of another key writes meanwhile what this one had read, it is handled again.
        """
        while True:
            done = await self._try(source, ledger, record, state)
            if done is None or done.view is None:
                return done
            if state.follows(done.view, done.outcomes[0].puts) and not state.rests(done.view):
                return done

    async def _try(
        self, source: Source, ledger: Ledger, record: Record, state: PendingState
    ) -> Done | None:
        await self._admission.enter()
        if source.stopping:
            await self._admission.withdraw()
            return None
        view = state.view()
        began_s = self._clock.monotonic_s()
        try:
            outcome = await self._processor.process(
                Batch(ledger.partition, (record,)), view, now_us=self._clock.now_us()
            )
        finally:
            seconds = self._clock.monotonic_s() - began_s
            await self._admission.leave(seconds)
        return Done((record,), (outcome,), seconds=seconds, view=view)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that says what to do: a conflict or an outage before all else."""
    errors: list[BaseException] = []
    for error in group.exceptions:
        errors.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    for kind in (ConcurrencyError, TransientError, MotetError):
        for error in errors:
            if isinstance(error, kind):
                return error
    return errors[0]
