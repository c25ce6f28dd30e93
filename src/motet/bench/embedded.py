"""The pipeline on the embedded backend: one SQLite file.

Beside it, in the same run and in turn, the raw limit (see `raw_sqlite.py`). Throughput is from
the first publish to the last commit; latency is measured at half of that rate, open loop: from
the instant an event was due to be sent until what it led to is durable.
"""

import statistics
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from motet.bench import child
from motet.bench.cases import PipelineCase, Progress
from motet.bench.figures import Sample, Spread, machine, percentile_ms, rates, ratio, spread
from motet.bench.load import PipelineLoad, RawCase
from motet.core.errors import ConfigError


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One line of output."""

    name: str
    n: int  # events per run
    events_per_s: Spread
    raw_events_per_s: Spread  # the bare script, one row an event
    ratio: Spread  # Motet / raw, run by run
    raw_blocks_events_per_s: Spread  # the bare script, one row a batch, as in Motet's log
    ratio_blocks: Spread
    cpu_s_per_100k: Spread  # both processes
    raw_cpu_s_per_100k: Spread
    p50_ms: float  # at half of the median rate
    p99_ms: float
    peak_mb: Spread  # largest resident size of a process, 10^6 bytes
    runs: int
    commit: str
    python: str
    cpu: str
    backend: str
    durability: str
    batch: int
    size_bytes: int


_EVENTS = 200_000
_PATIENCE_S = 60.0
_SLOWEST_PER_S = 2_000  # a run that is slower than this is given up


async def run_embedded(case: PipelineCase, progress: Progress) -> AsyncIterator[Figures]:
    """Measure the case; yields one line. `progress` is told of each step.

    Raises:
        ConfigError: contestants are named; there is no choice here.
    """
    if case.only:
        raise ConfigError("--only chooses contestants on a broker: give --transport too")
    load = PipelineLoad(case.events or _EVENTS, case.size_bytes, case.batch, case.keys)
    ours: list[Sample] = []
    rows: list[Sample] = []
    blocks: list[Sample] = []
    progress("warm-up")
    await _motet(case, msgspec.structs.replace(load, events=min(20_000, load.events)))
    for number in range(1, case.runs + 1):
        progress(f"run {number} of {case.runs}: motet")
        ours.append(await _motet(case, load))
        progress(f"run {number} of {case.runs}: bare script, rows")
        rows.append(await _raw(case, load, blocks=False))
        progress(f"run {number} of {case.runs}: bare script, blocks")
        blocks.append(await _raw(case, load, blocks=True))
    latencies = await _latencies(case, load, ours, progress) if case.latency else []
    here = machine()
    yield Figures(
        name="pipeline",
        n=load.events,
        events_per_s=rates(ours),
        raw_events_per_s=rates(rows),
        ratio=ratio(ours, rows),
        raw_blocks_events_per_s=rates(blocks),
        ratio_blocks=ratio(ours, blocks),
        cpu_s_per_100k=spread(each.cpu_s_per_100k for each in ours),
        raw_cpu_s_per_100k=spread(each.cpu_s_per_100k for each in rows),
        p50_ms=percentile_ms(latencies, 0.50),
        p99_ms=percentile_ms(latencies, 0.99),
        peak_mb=spread(each.peak_mb for each in ours),
        runs=case.runs,
        commit=here.commit,
        python=here.python,
        cpu=here.cpu,
        backend="sqlite",
        durability=f"synchronous={case.synchronous}",
        batch=case.batch,
        size_bytes=case.size_bytes,
    )


async def _latencies(
    case: PipelineCase, load: PipelineLoad, ours: list[Sample], progress: Progress
) -> list[int]:
    progress("latency at half of the rate")
    half = statistics.median(each.events_per_s for each in ours) / 2
    batch = max(1, min(case.batch, int(half / 200)))  # a publish every 5 ms
    paced = msgspec.structs.replace(load, rate_per_s=half, batch=batch)
    return (await _motet(case, paced)).latencies_us


async def _motet(case: PipelineCase, load: PipelineLoad) -> Sample:
    settings = msgspec.json.encode(load).decode()
    with tempfile.TemporaryDirectory(dir=case.folder or None, prefix="motet-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'motet.db'}?synchronous={case.synchronous}"
        return await _pair("motet.bench.roles", url, settings, load.events)


async def _raw(case: PipelineCase, load: PipelineLoad, *, blocks: bool) -> Sample:
    raw = RawCase(load.events, load.size_bytes, load.batch, blocks)
    settings = msgspec.json.encode(raw).decode()
    with tempfile.TemporaryDirectory(dir=case.folder or None, prefix="motet-bench-") as folder:
        path = str(Path(folder) / "raw.db")
        return await _pair("motet.bench.raw_sqlite", path, settings, load.events)


async def _pair(module: str, place: str, settings: str, events: int) -> Sample:
    worker = await child.start(module, "work", place, settings)
    publisher = await child.start(module, "publish", place, settings)
    within_s = _PATIENCE_S + events / _SLOWEST_PER_S
    worked, published = await child.finish([worker, publisher], within_s=within_s)
    wall_s = (worked.ended_ns - published.began_ns) / 1e9
    return Sample(
        events_per_s=events / wall_s,
        cpu_s_per_100k=(worked.cpu_s + published.cpu_s) / events * 100_000,
        peak_mb=max(worked.peak_bytes, published.peak_bytes) / 1e6,
        latencies_us=worked.latencies_us,
    )
