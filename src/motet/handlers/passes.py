"""One batch on its way through a group's handlers."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from motet.core.event import Event, Partition, Record
from motet.core.outcome import Failure, Outcome
from motet.core.ports import StateReader
from motet.handlers.context import Context
from motet.handlers.perform import own_error
from motet.handlers.results import Effects
from motet.handlers.state import Overlay, State
from motet.handlers.steps import Call, Misaligned, Step
from motet.resilience import retryable

PlainStep = tuple[Callable[[Event], object], Callable[[object, Event, Effects], None]]


class Plan(msgspec.Struct, frozen=True, eq=False):
    """The handlers of a group that one event type reaches, in order of declaration."""

    steps: tuple[Step, ...] = ()
    plain: tuple[PlainStep, ...] = ()  # the same, for a group in which all are plain functions
    awaited: bool = False  # something in it is async, blocking or takes batches
    batched: bool = False  # something in it takes batches


class Work(msgspec.Struct, frozen=True, gc=False):
    """A record and what its handlers are to be called with."""

    record: Record
    plan: Plan
    calls: Sequence[Call] = ()  # of those whose filters let it through
    error: Exception | None = None


def prepare(record: Record, plan: Plan) -> Work:
    """Decode, filter and find the state keys for all handlers of a record."""
    try:
        calls = [call for step in plan.steps if (call := step.prepare(record)) is not None]
    except BaseException as err:  # noqa: BLE001  # decoders, predicates, key functions: user code
        return Work(record, plan, (), own_error(err))
    return Work(record, plan, calls)


def afresh(work: Work) -> Work:
    """Return a work with its payloads decoded again, and all else as it was."""
    try:
        calls = [call.step.afresh(call) for call in work.calls]
    except BaseException as err:  # noqa: BLE001  # upcasters are user code
        return Work(work.record, work.plan, (), own_error(err))
    return Work(work.record, work.plan, calls)


class Pass:
    """Takes works through their handlers; a record's effects are kept whole or not at all."""

    def __init__(
        self, *, group: str, partition: Partition, parks: bool, now_us: int, overlay: Overlay
    ) -> None:
        self._group = group
        self._partition = partition
        self._parks = parks
        self._overlay = overlay
        self._effects = Effects(now_us)
        self._failures: list[Failure] = []
        self._failed_keys: set[str] = set()

    async def run(self, works: Sequence[Work]) -> Outcome:
        """Handle all of them and return what they lead to."""
        if not any(work.plan.awaited for work in works):
            for work in works:
                if self._ready(work):
                    self._handle(work)
        else:
            for unit in units(works):
                await self._wait(unit)
        return Outcome(
            emits=tuple(self._effects.emits),
            appends=tuple(self._effects.appends),
            puts=self._overlay.puts(),
            failures=tuple(self._failures),
        )

    def _ready(self, work: Work) -> bool:
        """Whether it may be tried; otherwise it is among the failures now."""
        if self._failed_keys and work.record.event.key in self._failed_keys:
            self._failures.append(Failure(work.record))
            return False
        if work.error is not None:
            self._fail(work, work.error)
            return False
        return True

    def _fail(self, work: Work, error: Exception) -> None:
        self._failures.append(Failure(work.record, error))
        if self._parks and retryable(error):  # a dead letter holds nothing up
            self._failed_keys.add(work.record.event.key)

    def _handle(self, work: Work) -> None:
        pending: dict[str, bytes | None] = {}
        effects, event = self._effects, work.record.event
        emitted, appended = len(effects.emits), len(effects.appends)
        try:
            for call in work.calls:
                step = call.step
                state = State(self._overlay, call.keys, pending) if step.stateful else None
                context = self._context(call) if step.contextual else None
                result = step.call(call, state, context)
                if result is not None or step.replies:
                    step.stamper.collect(result, event, effects)
        except BaseException as err:  # noqa: BLE001  # user code
            error = own_error(err)
            effects.cut(emitted, appended)
            self._fail(work, error)
        else:
            if pending:
                self._overlay.apply(pending)

    async def _wait(self, unit: Sequence[Work]) -> None:
        works = [work for work in unit if self._ready(work)]
        if not works:
            return
        pending: dict[str, bytes | None] = {}
        effects = self._effects
        emitted, appended = len(effects.emits), len(effects.appends)
        try:
            for step in works[0].plan.steps:
                calls = [call for work in works for call in work.calls if call.step is step]
                if calls and step.handler.batch:
                    await self._call_all(step, calls, pending)
                else:
                    for call in calls:
                        await self._call(call, pending)
        except BaseException as err:  # noqa: BLE001  # user code
            error = own_error(err)
            effects.cut(emitted, appended)
            await self._one_by_one(works, error)
        else:
            self._overlay.apply(pending)

    async def _one_by_one(self, works: Sequence[Work], error: Exception) -> None:
        if len(works) == 1 or isinstance(error, Misaligned):
            for work in works:
                if self._ready(work):
                    self._fail(work, error)
            return
        for work in works:
            await self._wait([afresh(work)])

    async def _call(self, call: Call, pending: dict[str, bytes | None]) -> None:
        step = call.step
        state = State(self._overlay, call.keys, pending) if step.stateful else None
        context = self._context(call) if step.contextual else None
        result = await step.wait(call, state, context)
        if result is not None or step.replies:
            step.stamper.collect(result, call.record.event, self._effects)

    async def _call_all(
        self, step: Step, calls: Sequence[Call], pending: dict[str, bytes | None]
    ) -> None:
        state = None
        if step.stateful:
            keys = tuple(dict.fromkeys(key for call in calls for key in call.keys))
            state = State(self._overlay, keys, pending)
        context = self._context(*calls) if step.contextual else None
        results = await step.wait_all(calls, state, context)
        for call, result in zip(calls, results, strict=True):
            if result is not None or step.replies:
                step.stamper.collect(result, call.record.event, self._effects)

    def _context(self, *calls: Call) -> Context:
        attempt = max(call.record.attempt for call in calls)
        return Context(self._effects.now_us, attempt, self._group, self._partition)


async def read_ahead(works: Sequence[Work], state: StateReader) -> Overlay:
    """Read every key the works declare, in one round trip."""
    keys = dict.fromkeys(key for work in works for call in work.calls for key in call.keys)
    return Overlay(await state.get_many(keys.keys()) if keys else {})


def units(works: Sequence[Work]) -> Iterator[Sequence[Work]]:
    """Cut a batch into what is handled in one go.

    That is one record, or, where a handler takes batches, all records with the same handlers
    that no other record of one of their keys comes in between. Order per key is kept.
    """
    waiting: dict[Plan, list[Work]] = {}
    owners: dict[str, Plan] = {}
    for work in works:
        key = work.record.event.key
        if owners.get(key, work.plan) is not work.plan:
            yield from waiting.values()
            waiting, owners = {}, {}
        if work.plan.batched:
            waiting.setdefault(work.plan, []).append(work)
            owners[key] = work.plan
        else:
            yield [work]
    yield from waiting.values()
