"""Telling others of a commit: metrics, the log, and whoever waits for one."""

from collections import Counter
from collections.abc import Callable, Sequence, Set

from motet.core.outcome import DeadLetter
from motet.runtime.failures import Disposition
from motet.runtime.readings import Done, Reading
from motet.telemetry import Metrics, bind

log = bind(__name__)


class Report:
    """Counts what commits did; `committed` is called after each."""

    def __init__(self, metrics: Metrics, committed: Callable[[], None]) -> None:
        self._metrics = metrics
        self._committed = committed

    def commit(self, reading: Reading, done: Done, failed: Set[int], fate: Disposition) -> None:
        """A commit is durable; `failed` are records that were not handled, by Python's `id`."""
        self._committed()
        topic, metrics = reading.partition.topic, self._metrics
        by_type = Counter(r.event.type for r in done.records if id(r) not in failed)
        each_s = done.seconds / max(1, len(done.records))
        for event_type, count in by_type.items():
            metrics.processed(topic, event_type, status="ok", count=count, seconds=each_s)
        if done.repeats:
            self._repeated(reading, done)
        for park in (*fate.parks, *fate.retried):
            if park.error is not None:
                event_type = park.record.event.type
                metrics.processed(topic, event_type, status="retry", count=1, seconds=each_s)
                metrics.failed(park.error.code, event_type, group=reading.group)
        if fate.dead:
            _warn(reading, fate.dead)
        for letter in fate.dead:
            metrics.processed(topic, letter.event_type, status="dead", count=1, seconds=each_s)
            metrics.failed(letter.error.code, letter.event_type, group=reading.group)
            metrics.dead(letter.error.code)

    def _repeated(self, reading: Reading, done: Done) -> None:
        topic = reading.partition.topic
        for event_type, count in Counter(r.event.type for r in done.repeats).items():
            self._metrics.repeated(topic, event_type, count)
        first = done.repeats[0]
        log.info(
            "event.repeat",
            extra={
                "group": reading.group,
                "place": f"{reading.partition}@{first.offset}",
                "event": first.event.id,
                "repeats": len(done.repeats),
            },
        )


def _warn(reading: Reading, dead: Sequence[DeadLetter]) -> None:
    """One line a commit, about the first: a handler that fails always is seen, not read."""
    first = dead[0]
    log.warning(
        "event.dead",
        extra={
            "group": reading.group,
            "place": f"{reading.partition}@{first.offset}",
            "code": first.error.code,
            "error": first.error.message,
            "tries": first.attempts,
            "dead_letters": len(dead),
            "look": "motet dlq list",
        },
    )
