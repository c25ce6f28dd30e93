"""`motet bench pipeline`: events through publish, route, handle, emit and a durable commit.

Beside it, in the same run and in turn, the raw limit (see `raw.py`). Throughput is from the first
publish to the last commit; latency is measured at half of that rate, open loop: from the instant an
event was due to be sent until what it led to is durable.
"""

import os
import platform
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import msgspec

from motet.bench import child
from motet.bench.load import PipelineLoad, RawCase
from motet.core.errors import ConfigError


class PipelineCase(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure."""

    transport: str = "embedded"
    events: int = 200_000
    size_bytes: int = 400
    batch: int = 1000
    keys: int = 5_000
    runs: int = 5
    synchronous: str = "full"
    folder: str = ""  # where the files go; empty: the system's folder for temporary files
    latency: bool = True


class Spread(msgspec.Struct, frozen=True):
    """Of several runs."""

    median: float
    min: float
    max: float


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


class Sample(msgspec.Struct, frozen=True):
    """One run of two processes."""

    events_per_s: float
    cpu_s_per_100k: float
    peak_mb: float
    latencies_us: list[int] = []


Progress = Callable[[str], None]

_PATIENCE_S = 60.0
_SLOWEST_PER_S = 2_000  # a run that is slower than this is given up


async def run_pipeline(case: PipelineCase, progress: Progress) -> AsyncIterator[Figures]:
    """Measure the case; yields one line. `progress` is told of each step.

    Raises:
        ConfigError: the transport is not known.
    """
    if case.transport != "embedded":
        raise ConfigError(f"unknown transport {case.transport!r}; there is: embedded")
    load = PipelineLoad(case.events, case.size_bytes, case.batch, case.keys)
    ours: list[Sample] = []
    rows: list[Sample] = []
    blocks: list[Sample] = []
    progress("warm-up")
    await _motet(case, msgspec.structs.replace(load, events=min(20_000, case.events)))
    for number in range(1, case.runs + 1):
        progress(f"run {number} of {case.runs}: motet")
        ours.append(await _motet(case, load))
        progress(f"run {number} of {case.runs}: bare script, rows")
        rows.append(await _raw(case, blocks=False))
        progress(f"run {number} of {case.runs}: bare script, blocks")
        blocks.append(await _raw(case, blocks=True))
    latencies = await _latencies(case, load, ours, progress) if case.latency else []
    yield Figures(
        name="pipeline",
        n=case.events,
        events_per_s=_spread(each.events_per_s for each in ours),
        raw_events_per_s=_spread(each.events_per_s for each in rows),
        ratio=_spread(a.events_per_s / b.events_per_s for a, b in zip(ours, rows, strict=True)),
        raw_blocks_events_per_s=_spread(each.events_per_s for each in blocks),
        ratio_blocks=_spread(
            a.events_per_s / b.events_per_s for a, b in zip(ours, blocks, strict=True)
        ),
        cpu_s_per_100k=_spread(each.cpu_s_per_100k for each in ours),
        raw_cpu_s_per_100k=_spread(each.cpu_s_per_100k for each in rows),
        p50_ms=_percentile_ms(latencies, 0.50),
        p99_ms=_percentile_ms(latencies, 0.99),
        peak_mb=_spread(each.peak_mb for each in ours),
        runs=case.runs,
        commit=_revision(),
        python=platform.python_version(),
        cpu=_cpu(),
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


async def _raw(case: PipelineCase, *, blocks: bool) -> Sample:
    raw = RawCase(case.events, case.size_bytes, case.batch, blocks)
    settings = msgspec.json.encode(raw).decode()
    with tempfile.TemporaryDirectory(dir=case.folder or None, prefix="motet-bench-") as folder:
        path = str(Path(folder) / "raw.db")
        return await _pair("motet.bench.raw", path, settings, case.events)


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


def _spread(values: Iterable[float]) -> Spread:
    ordered = sorted(values)
    return Spread(
        median=round(statistics.median(ordered), 3),
        min=round(ordered[0], 3),
        max=round(ordered[-1], 3),
    )


def _percentile_ms(ordered_us: list[int], share: float) -> float:
    if not ordered_us:
        return 0.0
    return ordered_us[min(len(ordered_us) - 1, int(len(ordered_us) * share))] / 1000


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} x {os.cpu_count()}"
    except OSError:
        pass
    return f"{platform.machine()} x {os.cpu_count()}"


def _revision() -> str:
    head = Path(".git/HEAD")
    if not head.is_file():
        return ""
    text = head.read_text().strip()
    if not text.startswith("ref: "):
        return text[:12]
    ref = Path(".git") / text.removeprefix("ref: ")
    return ref.read_text().strip()[:12] if ref.is_file() else ""
