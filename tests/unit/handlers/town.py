"""All groups of an app at work on topics in memory: enough of a runtime to see what comes out."""

from collections import Counter, defaultdict

from motet.core.event import Batch, Event, Partition, Record
from motet.core.outcome import Emit, Failure
from motet.handlers import Handlers
from tests.unit.handlers.world import NOW_US, Kept


class Town:
    """Delivers what is published, keeps state per group, and lets time pass when told to."""

    def __init__(self, app: Handlers, *, batch: int = 100) -> None:
        self.now_us = NOW_US
        self.topics: dict[str, list[Event]] = defaultdict(list)
        self.emitted: Counter[tuple[str, str]] = Counter()  # by topic and id, repeats included
        self.failures: list[Failure] = []
        self.state: dict[str, Kept] = {}
        self._processors = [compiled.processor for compiled in app.compile()]
        for processor in self._processors:
            self.state[processor.name] = Kept()
        self._read: dict[tuple[str, str], int] = defaultdict(int)
        self._later: list[Emit] = []
        self._batch = batch

    def publish(self, topic: str, *events: Event, repeat: bool = False) -> None:
        """Append; an id that is there already is passed over unless it is to be seen again."""
        for event in events:
            if repeat or all(event.id != other.id for other in self.topics[topic]):
                self.topics[topic].append(event)

    async def settle(self) -> None:
        """Handle everything there is."""
        while [True for processor in self._processors if await self._work(processor.name)]:
            pass

    async def advance(self, seconds: float) -> None:
        """Let time pass, and handle what falls due on the way, each at its time."""
        await self.settle()
        end_us = self.now_us + round(seconds * 1e6)
        while due := [emit for emit in self._later if emit.not_before_us <= end_us]:
            first = min(due, key=lambda emit: emit.not_before_us)
            self._later.remove(first)
            self.now_us = max(self.now_us, first.not_before_us)
            self.publish(first.topic, first.event)
            await self.settle()
        self.now_us = end_us

    async def _work(self, name: str) -> bool:
        processor = next(each for each in self._processors if each.name == name)
        worked = False
        for topic in sorted(processor.topics):
            start = self._read[name, topic]
            events = self.topics[topic][start : start + self._batch]
            if not events:
                continue
            worked = True
            found = tuple(Record(event, start + n) for n, event in enumerate(events))
            batch = Batch(Partition(topic, 0), found, (), start + len(found))
            outcome = await processor.process(batch, self.state[name], now_us=self.now_us)
            self.state[name].apply(outcome.puts)
            self.failures += outcome.failures
            self._read[name, topic] = batch.end
            for emit in outcome.emits:
                self.emitted[emit.topic, emit.event.id] += 1
                if emit.not_before_us > self.now_us:
                    self._later.append(emit)
                else:
                    self.publish(emit.topic, emit.event)
        return worked
