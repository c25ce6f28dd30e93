"""The handlers of one consumer group, compiled into a processor."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor

from motet.core.errors import ConfigError
from motet.core.event import Batch, Record
from motet.core.outcome import Failure, Outcome
from motet.core.ports import Concurrency, StateReader
from motet.core.schemas import Schemas
from motet.handlers.handler import Handler
from motet.handlers.passes import Pass, Plan, Work, prepare, read_ahead
from motet.handlers.perform import own_error
from motet.handlers.results import Effects, Stamper
from motet.handlers.steps import Step, takes_short_way
from motet.resilience import retryable

_PLANS = 4096  # event types remembered per topic: types come from outside and may be anything


class FunctionProcessor:
    """Runs functions; conforms to `ports.Processor`.

    Which handlers an event type reaches is looked up once per type, and so are the payload
    decoders. A group of plain functions without state takes a shorter way.
    """

    def __init__(
        self,
        handlers: Sequence[Handler],
        *,
        app: str,
        schemas: Schemas,
        executor: Executor | None = None,
    ) -> None:
        """Compile handlers of one group; `executor` runs the blocking ones.

        Raises:
            ConfigError: there are none, of several groups, two of one name, or a payload's
                upcasters have a gap.
        """
        self._name = _one_group(handlers)
        self._handlers = tuple(handlers)
        self._topics = frozenset(handler.topic for handler in handlers)
        self._schemas = schemas
        self._executor = executor
        self._parks = all(handler.on_failure in (None, "park") for handler in handlers)
        stateless = any(handler.delivery == "transport" for handler in handlers)
        self._stampers = {
            handler.name: Stamper(
                app=app,
                group=self._name,
                name=handler.name,
                to=handler.to,
                reply=handler.reply,
                stateless=stateless,
            )
            for handler in handlers
        }
        self._plans: dict[str, dict[str, Plan]] = {topic: {} for topic in self._topics}
        self._plain = all(takes_short_way(handler) for handler in handlers)
        for handler in handlers:
            self._plan(handler.topic, handler.type)  # so that a missing upcaster is found now

    @property
    def name(self) -> str:
        """Consumer group and state namespace."""
        return self._name

    @property
    def topics(self) -> frozenset[str]:
        """Where the handlers listen."""
        return self._topics

    @property
    def concurrency(self) -> Concurrency:
        """Lanes as soon as one handler of single events is async or blocking."""
        alone = any(handler.awaited and not handler.batch for handler in self._handlers)
        return Concurrency.LANES if alone else Concurrency.BATCH

    @property
    def parks(self) -> bool:
        """Whether later records of a failed one's key wait."""
        return self._parks

    async def process(self, batch: Batch, state: StateReader, *, now_us: int) -> Outcome:
        """Decide what a batch leads to; performs nothing.

        Raises:
            Unavailable: the state could not be read.
        """
        if self._plain:
            return self._process_plain(batch, now_us)
        topic = batch.partition.topic
        works = [self._work(topic, record) for record in batch.records]
        run = Pass(
            group=self._name,
            partition=batch.partition,
            parks=self._parks,
            now_us=now_us,
            overlay=await read_ahead(works, state),
        )
        return await run.run(works)

    def _process_plain(self, batch: Batch, now_us: int) -> Outcome:
        topic = batch.partition.topic
        plans = self._plans.get(topic, {})
        effects = Effects(now_us)
        emits, appends = effects.emits, effects.appends
        failures: list[Failure] = []
        failed_keys: set[str] = set()
        for record in batch.records:
            event = record.event
            if failed_keys and event.key in failed_keys:
                failures.append(Failure(record))
                continue
            emitted, appended = len(emits), len(appends)
            try:
                plan = plans.get(event.type)
                if plan is None:
                    plan = self._plan(topic, event.type)
                for call, collect in plan.plain:
                    result = call(event)
                    if result is not None:
                        collect(result, event, effects)
            except BaseException as err:  # noqa: BLE001  # user code
                error = own_error(err)
                del emits[emitted:], appends[appended:]
                failures.append(Failure(record, error))
                if self._parks and retryable(error):  # a dead letter holds nothing up
                    failed_keys.add(event.key)
        return Outcome(emits=tuple(emits), appends=tuple(appends), failures=tuple(failures))

    def _work(self, topic: str, record: Record) -> Work:
        try:
            plan = self._plan(topic, record.event.type)
        except ConfigError as err:  # such as upcasters of a type that only a glob reaches
            return Work(record, Plan(), (), err)
        return prepare(record, plan)

    def _plan(self, topic: str, event_type: str) -> Plan:
        plans = self._plans.setdefault(topic, {})
        plan = plans.get(event_type)
        if plan is None:
            if len(plans) >= _PLANS:
                plans.clear()
            plan = plans[event_type] = self._new_plan(topic, event_type)
        return plan

    def _new_plan(self, topic: str, event_type: str) -> Plan:
        matching = [handler for handler in self._handlers if handler.matches(topic, event_type)]
        steps = tuple(self._step(handler, event_type) for handler in matching)
        return Plan(
            steps=steps,
            plain=tuple((step.plain, step.stamper.collect) for step in steps if step.plain),
            awaited=any(handler.awaited or handler.batch for handler in matching),
            batched=any(handler.batch for handler in matching),
        )

    def _step(self, handler: Handler, event_type: str) -> Step:
        return Step(
            handler,
            event_type,
            stamper=self._stampers[handler.name],
            schemas=self._schemas,
            executor=self._executor,
        )


def _one_group(handlers: Sequence[Handler]) -> str:
    names = Counter(handler.name for handler in handlers)
    groups = {handler.group for handler in handlers}
    if len(groups) != 1:
        raise ConfigError(f"a processor has handlers of one group, not of {sorted(groups)}")
    group = groups.pop()
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ConfigError(
            f"group {group!r} has two handlers named {twice[0]!r}; give one another name="
        )
    return group
