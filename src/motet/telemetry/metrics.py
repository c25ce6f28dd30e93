"""Counting what happens, once per batch, and showing it to Prometheus.

Numbers are kept in plain dictionaries and turned into Prometheus samples when somebody
scrapes: a process that nobody scrapes never imports the client library (75 ms).
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from motet.telemetry.families import (
    DEAD,
    DEPTH,
    DURATION,
    ERRORS,
    FAMILIES,
    LAG,
    PROCESSED,
    RECEIVED,
    Family,
    Kind,
)
from motet.telemetry.lag import Lag

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

OTHER = "other"
"""Stands for the label values beyond the limit."""

_LONGEST = 200  # characters; a longer label value was not chosen by a person

Labels = tuple[str, ...]


class Metrics:
    """The numbers of one process. Not shared between threads: call it from the event loop.

    A label takes at most `limit` distinct values, the rest is counted as "other", so that
    no sender can grow the process by inventing event types.
    """

    def __init__(self, *, limit: int = 200) -> None:
        self._limit = limit
        self._known: dict[str, set[str]] = {}
        self._values: dict[str, dict[Labels, float]] = {family.name: {} for family in FAMILIES}
        self._counts: dict[str, dict[Labels, list[int]]] = {
            family.name: {} for family in FAMILIES if family.kind is Kind.HISTOGRAM
        }
        self._registry: CollectorRegistry | None = None

    def received(self, topic: str, counts: Mapping[str, int]) -> None:
        """Events of one publish are durable: their number by event type."""
        for event_type, count in counts.items():
            self.add(RECEIVED, (topic, event_type), count)

    def processed(
        self, topic: str, event_type: str, *, status: str, count: int, seconds: float
    ) -> None:
        """Events of one commit are durable; each spent `seconds` in its handlers.

        `status` is ok, retry or dead.
        """
        self.add(PROCESSED, (topic, event_type, status), count)
        self.observe(DURATION, (event_type,), seconds, count)

    def repeated(self, topic: str, event_type: str, count: int) -> None:
        """Repeats of events a group has taken charge of were passed over; they take no time."""
        self.add(PROCESSED, (topic, event_type, "repeat"), count)

    def failed(self, code: str, event_type: str, *, group: str, count: int = 1) -> None:
        """Handling events of one type failed, whatever is to become of them."""
        self.add(ERRORS, (code, event_type, group), count)

    def dead(self, reason: str, count: int = 1) -> None:
        """Events were put among the dead letters; `reason` is an error code."""
        self.add(DEAD, (reason,), count)

    def lag(self, lags: Sequence[Lag]) -> None:
        """Set how far behind every group is; groups not named are forgotten."""
        self.replace(LAG, (((lag.topic, str(lag.partition), lag.group), lag.lag) for lag in lags))

    def depth(self, depths: Mapping[str, int]) -> None:
        """Set how many events wait in every topic; topics not named are forgotten."""
        self.replace(DEPTH, (((topic,), count) for topic, count in depths.items()))

    def add(self, family: Family, labels: Labels, count: float = 1) -> None:
        """Raise one series of a counter, or of a gauge."""
        values = self._values[family.name]
        if labels not in values:
            labels = self._fit(family, labels)
        values[labels] = values.get(labels, 0) + count

    def observe(self, family: Family, labels: Labels, value: float, count: int = 1) -> None:
        """Enter `count` equal observations into one series of a histogram."""
        counts = self._counts[family.name]
        if labels not in counts:
            labels = self._fit(family, labels)
            counts.setdefault(labels, [0] * (len(family.buckets) + 1))
        counts[labels][bisect_left(family.buckets, value)] += count
        values = self._values[family.name]
        values[labels] = values.get(labels, 0) + value * count

    def replace(self, family: Family, samples: Iterable[tuple[Labels, float]]) -> None:
        """Set a gauge as a whole; series with equal labels once bounded are summed."""
        self._values[family.name] = {}
        for labels, value in samples:
            self.add(family, labels, value)

    def value(self, family: Family, labels: Labels) -> float:
        """Return one series of a counter or gauge, or the sum of a histogram's; 0 when unknown."""
        return self._values[family.name].get(labels, 0)

    def _fit(self, family: Family, labels: Labels) -> Labels:
        return tuple(map(self._bound, family.labels, labels))

    def _bound(self, label: str, value: str) -> str:
        known = self._known.setdefault(label, set())
        if value in known:
            return value
        if len(known) >= self._limit or len(value) > _LONGEST or not value.isprintable():
            return OTHER
        known.add(value)
        return value

    @property
    def registry(self) -> "CollectorRegistry":
        """The registry that is scraped, this process's own; an application may add to it."""
        if self._registry is None:
            from prometheus_client import CollectorRegistry, ProcessCollector

            self._registry = CollectorRegistry()
            self._registry.register(self)
            ProcessCollector(registry=self._registry)
        return self._registry

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return what Prometheus reads and its content type, as the Accept header asks."""
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def collect(self) -> "Iterable[Metric]":
        """Yield every family with its samples: the client library's collector interface."""
        for family in FAMILIES:
            if family.kind is Kind.HISTOGRAM:
                yield self._histogram(family)
            else:
                yield self._numbers(family)

    def _numbers(self, family: Family) -> "Metric":
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
        metric = kind(family.name, family.help, labels=family.labels)
        for labels, value in self._values[family.name].items():
            metric.add_metric(labels, value)
        return metric

    def _histogram(self, family: Family) -> "Metric":
        from prometheus_client.core import HistogramMetricFamily

        metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        bounds = [*map(float, family.buckets), "+Inf"]
        for labels, counts in self._counts[family.name].items():
            total, buckets = 0, []
            for bound, count in zip(bounds, counts, strict=True):
                total += count
                buckets.append((str(bound), total))
            metric.add_metric(labels, buckets, self._values[family.name][labels])
        return metric
