"""Handlers without a log and a database: given state, when events come, then what they want.

For tests of what a handler decides. Retries, order and commits are the runtime's: for a whole
program in simulated time there is `simulate`.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType

import msgspec

from motet.app import App
from motet.core.errors import ConfigError
from motet.core.event import Batch, Event, Partition, Record
from motet.core.outcome import Append, Outcome
from motet.core.ports import Processor, Versioned
from motet.testing.simulation import START_US, SimClock, simulate

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Emitted(msgspec.Struct, frozen=True):
    """An event that a handler wants published."""

    topic: str
    type: str
    key: str
    data: object  # the payload, decoded
    not_before_us: int = 0  # microseconds since the Unix epoch; 0: at once


class Handled(msgspec.Struct, frozen=True):
    """What handling some events leads to."""

    emitted: tuple[Emitted, ...]  # in order
    state: Mapping[str, object]  # the values afterwards, decoded, by key
    failed: tuple[Exception | None, ...]  # per event not handled; None: it waits behind another
    appended: tuple[Append, ...] = ()


def handle(
    app: App,
    topic: str,
    *events: Event,
    state: Mapping[str, object] = _NOTHING,
    group: str = "",
    now_us: int = START_US,
    attempt: int = 1,
) -> Handled:
    """Handle events of one topic as one batch and return what comes of it.

    `state` are the values before, by key. Where several consumer groups read the topic, `group`
    says which is meant. Not to be called where an event loop is running.

    Raises:
        ConfigError: no group reads the topic, or several do and `group` names none of them.
    """
    processor = _processor(app, topic, group)
    records = tuple(Record(event, offset, attempt) for offset, event in enumerate(events))
    batch = Batch(Partition(topic, 0), records, (), len(records))
    kept = _Kept(state)

    async def work(clock: SimClock) -> Outcome:
        return await processor.process(batch, kept, now_us=now_us)

    outcome = simulate(work, seed=0)
    return Handled(
        emitted=tuple(
            Emitted(
                each.topic,
                each.event.type,
                each.event.key,
                msgspec.json.decode(each.event.data),
                each.not_before_us,
            )
            for each in outcome.emits
        ),
        state=kept.after(outcome),
        failed=tuple(failure.error for failure in outcome.failures),
        appended=outcome.appends,
    )


class _Kept:
    """Conforms to `ports.StateReader`."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = {key: msgspec.json.encode(value) for key, value in values.items()}

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Versioned]:
        return {key: Versioned(self._values[key], 1) for key in keys if key in self._values}

    def after(self, outcome: Outcome) -> Mapping[str, object]:
        values: dict[str, bytes | None] = {**self._values}
        values |= {put.key: put.value for put in outcome.puts}
        return {key: msgspec.json.decode(v) for key, v in values.items() if v is not None}


def _processor(app: App, topic: str, group: str) -> Processor:
    readers = [each.processor for each in app.compile() if topic in each.processor.topics]
    found = [each for each in readers if group in ("", each.name)]
    if len(found) != 1:
        names = ", ".join(sorted(each.name for each in readers)) or "none"
        wanted = f"there is no {group!r}" if group else "name one with group="
        raise ConfigError(f"groups of app {app.name!r} that read {topic!r}: {names}; {wanted}")
    return found[0]
