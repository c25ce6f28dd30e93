"""One line of output for a broker."""

from collections.abc import Mapping, Sequence

import msgspec

from motet.bench.cases import PipelineCase
from motet.bench.child import Result
from motet.bench.contestants import BATCH, MOTET, QUORUM, RAW, SINGLE, STORE
from motet.bench.figures import Sample, Spread, machine, percentile_ms, rates, ratio, spread

Samples = Mapping[str, Sequence[Sample]]
"""By contestant, in the order of the runs."""


class BrokerFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Figures of one broker; those of contestants who did not take part are left out."""

    name: str
    transport: str
    n: dict[str, int]  # events per run, by contestant
    events_per_s: Spread | None = None  # Motet, delivery mode transport
    store_events_per_s: Spread | None = None  # Motet, delivery mode store, on SQLite
    raw_events_per_s: Spread | None = None
    raw_quorum_events_per_s: Spread | None = None  # RabbitMQ: quorum queues in place of streams
    faststream_single_events_per_s: Spread | None = None
    faststream_batch_events_per_s: Spread | None = None
    ratio: Spread | None = None  # Motet / raw, run by run
    ratio_quorum: Spread | None = None
    ratio_store: Spread | None = None  # Motet in mode store / raw
    x_faststream_single: Spread | None = None  # Motet / FastStream
    x_faststream_batch: Spread | None = None
    publish_events_per_s: Spread | None = None
    raw_publish_events_per_s: Spread | None = None
    cpu_s_per_100k: Spread | None = None  # the worker's process alone
    store_cpu_s_per_100k: Spread | None = None
    raw_cpu_s_per_100k: Spread | None = None
    p50_ms: float = 0.0  # Motet at half of its median rate
    p99_ms: float = 0.0
    peak_mb: Spread | None = None  # largest resident size of Motet's worker, 10^6 bytes
    runs: int
    commit: str
    python: str
    cpu: str
    backend: str
    durability: str
    batch: int
    size_bytes: int
    failed: dict[str, str] = {}  # by contestant


def summarised(
    case: PipelineCase,
    about: Result,
    samples: Samples,
    *,
    sizes: Mapping[str, int],
    failed: Mapping[str, str],
    latencies_us: Sequence[int],
) -> BrokerFigures:
    """Put what was measured on one line."""
    here = machine()
    return BrokerFigures(
        name="pipeline",
        transport=case.transport,
        n=dict(sizes),
        events_per_s=_rates(samples, MOTET),
        store_events_per_s=_rates(samples, STORE),
        raw_events_per_s=_rates(samples, RAW),
        raw_quorum_events_per_s=_rates(samples, QUORUM),
        faststream_single_events_per_s=_rates(samples, SINGLE),
        faststream_batch_events_per_s=_rates(samples, BATCH),
        ratio=_ratio(samples, MOTET, RAW),
        ratio_quorum=_ratio(samples, MOTET, QUORUM),
        ratio_store=_ratio(samples, STORE, RAW),
        x_faststream_single=_ratio(samples, MOTET, SINGLE),
        x_faststream_batch=_ratio(samples, MOTET, BATCH),
        publish_events_per_s=_published(samples, MOTET),
        raw_publish_events_per_s=_published(samples, RAW),
        cpu_s_per_100k=_cpu(samples, MOTET),
        store_cpu_s_per_100k=_cpu(samples, STORE),
        raw_cpu_s_per_100k=_cpu(samples, RAW),
        p50_ms=percentile_ms(latencies_us, 0.50),
        p99_ms=percentile_ms(latencies_us, 0.99),
        peak_mb=spread(each.peak_mb for each in samples[MOTET]) if MOTET in samples else None,
        runs=case.runs,
        commit=here.commit,
        python=here.python,
        cpu=here.cpu,
        backend=about.backend,
        durability=about.durability,
        batch=case.batch,
        size_bytes=case.size_bytes,
        failed=dict(failed),
    )


def _rates(samples: Samples, name: str) -> Spread | None:
    return rates(samples[name]) if name in samples else None


def _ratio(samples: Samples, ours: str, theirs: str) -> Spread | None:
    if ours not in samples or theirs not in samples:
        return None
    return ratio(samples[ours], samples[theirs])


def _published(samples: Samples, name: str) -> Spread | None:
    return spread(each.publish_per_s for each in samples[name]) if name in samples else None


def _cpu(samples: Samples, name: str) -> Spread | None:
    return spread(each.cpu_s_per_100k for each in samples[name]) if name in samples else None
