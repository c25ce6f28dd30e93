"""The composition root: a named set of handlers, and what runs them."""

from collections.abc import AsyncIterator, Collection, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager

from motet.core.clock import SystemClock
from motet.core.errors import ConfigError
from motet.core.ports import (
    Clock,
    Guarantee,
    Processor,
    ProgressKeeper,
    Readable,
    Store,
    Transport,
)
from motet.handlers import Compiled, DeliveryMode, Handlers, Threads
from motet.resilience import RetryPolicy
from motet.runtime import (
    FailureTopics,
    Relay,
    Retrying,
    RetryReader,
    Running,
    Settings,
    Ticker,
    TransportDelivery,
    Worker,
)
from motet.telemetry import Metrics


class App:
    """A named set of handlers. Declaring them connects to nothing.

    `on`, `route`, `scatter_gather`, `every` and `upcast` declare; see `motet.handlers.Handlers`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.handlers = Handlers(name)
        self.on = self.handlers.on
        self.route = self.handlers.route
        self.scatter_gather = self.handlers.scatter_gather
        self.every = self.handlers.every
        self.upcast = self.handlers.upcast
        self._added: list[Compiled] = []

    def add(
        self,
        processor: Processor,
        *,
        retry: RetryPolicy | None = None,
        delivery: DeliveryMode = "store",
    ) -> None:
        """Add a processor made elsewhere, as a consumer group of its own."""
        self._added.append(Compiled(processor, retry or RetryPolicy(), (), delivery))

    def compile(self, *, executor: Executor | None = None) -> Sequence[Compiled]:
        """Return the consumer groups, ready to run; `executor` runs blocking handlers.

        Raises:
            ConfigError: two of them have the same name, or there is none.
        """
        compiled = [*self.handlers.compile(executor=executor), *self._added]
        names = [each.processor.name for each in compiled]
        if not names:
            raise ConfigError(f"app {self.name!r} has no handlers: declare one with @app.on(TOPIC)")
        if len(set(names)) != len(names):
            raise ConfigError(f"app {self.name!r} has two consumer groups of one name: {names}")
        return compiled

    def groups(self) -> tuple[str, ...]:
        """Names of the consumer groups."""
        return tuple(each.processor.name for each in self.compile())

    @asynccontextmanager
    async def run(
        self,
        transport: Transport,
        store: Store,
        *,
        clock: Clock | None = None,
        settings: Settings | None = None,
        metrics: Metrics | None = None,
        groups: Collection[str] | None = None,
    ) -> AsyncIterator[Running]:
        """Run every consumer group, or those named, until the block is left; then drain.

        Raises:
            ConfigError: a group is named that the app does not have.
        """
        clock, settings = clock or SystemClock(), settings or Settings()
        metrics, policy = metrics or Metrics(), RetryPolicy()
        threads = Threads(settings.max_in_flight, name=self.name)
        relay = Relay(transport, store, clock=clock, retry=policy)
        wiring = _Wiring(transport, store, clock)
        workers = [
            Worker(
                wiring.processor(each),
                wiring.readable(each),
                wiring.store(each),
                clock=clock,
                retry=each.retry,
                settings=settings,
                metrics=metrics,
                committed=relay.nudge,
            )
            for each in self._chosen(groups, threads)
        ]
        tickers = [
            Ticker(each, transport, clock=clock, retry=policy) for each in self.handlers.schedules
        ]
        running = Running(
            workers,
            relay,
            tickers,
            transport=transport,
            store=store,
            clock=clock,
            noting=wiring.broker,
        )
        try:
            async with running.at_work(drain_s=settings.drain_s):
                yield running
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def delivery(self, group: str, transport: Transport) -> DeliveryMode:
        """How a group is delivered to on a transport.

        One that lives in the store's database has only one mode: all is one transaction there.
        """
        modes = {each.processor.name: each.delivery for each in self.compile()}
        return modes[group] if _keeper(transport) is not None else "store"

    def _chosen(self, groups: Collection[str] | None, executor: Executor) -> Sequence[Compiled]:
        compiled = self.compile(executor=executor)
        if groups is None:
            return compiled
        known = {each.processor.name for each in compiled}
        if missing := sorted(set(groups) - known):
            raise ConfigError(
                f"app {self.name!r} has no consumer group {missing[0]!r}; it has {sorted(known)}"
            )
        return [each for each in compiled if each.processor.name in groups]


class _Wiring:
    """What each consumer group works on: its delivery mode, and where its failures go."""

    def __init__(self, transport: Transport, store: Store, clock: Clock) -> None:
        self._transport = transport
        self._store = store
        self._clock = clock
        self._keeper = keeper = _keeper(transport)
        self.broker = TransportDelivery(store, transport, keeper, clock=clock) if keeper else None

    def processor(self, each: Compiled) -> Processor:
        if not self._topics(each):
            return each.processor
        return Retrying(each.processor, tries=each.retry.tries)

    def readable(self, each: Compiled) -> Readable:
        if not self._topics(each):
            return self._transport
        return RetryReader(self._transport, clock=self._clock)

    def store(self, each: Compiled) -> Store:
        store: Store = self._store
        if self.broker is not None and each.delivery == "transport":
            store = self.broker
        if self._keeper is not None and self._topics(each):
            return FailureTopics(store, self._transport, self._keeper, clock=self._clock)
        return store

    def _topics(self, each: Compiled) -> bool:
        # Without a broker there is nowhere to send them to: they are parked, and hold nothing up.
        return self._keeper is not None and each.on_failure == "topic"


def _keeper(transport: Transport) -> ProgressKeeper | None:
    """The transport, if progress may be kept there: one in the store's database does better."""
    if Guarantee.SHARED_TX in transport.guarantees or not isinstance(transport, ProgressKeeper):
        return None
    return transport
