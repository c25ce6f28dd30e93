"""`motet bench`: what this machine can do."""

from motet.bench.pipeline import Figures, PipelineCase, run_pipeline
from motet.cli.console import Console
from motet.cli.options import DEFAULTS, Options, command
from motet.cli.tables import Column

app = command("bench")
app.help = "Measure this machine.\n\nExample: motet bench pipeline"

_COLUMNS = (
    Column("FIGURE"),
    Column("MEDIAN", right=True),
    Column("LEAST", right=True),
    Column("MOST", right=True),
)


@app.command(name="pipeline")
async def pipeline(
    *,
    transport: str = "embedded",
    events: int = 200_000,
    size_bytes: int = 400,
    batch: int = 1000,
    runs: int = 5,
    folder: str | None = None,
    options: Options = DEFAULTS,
) -> None:
    """Measure publish, route, handle, emit and commit, beside a bare script with the same I/O.

    Example: motet bench pipeline --transport embedded --json

    JSON: a stream of lines, one per case: name, n, events_per_s, raw_events_per_s, ratio,
    raw_blocks_events_per_s, ratio_blocks, cpu_s_per_100k, raw_cpu_s_per_100k, peak_mb (each
    median, min, max), p50_ms, p99_ms, runs, commit, python, cpu, backend, durability, batch,
    size_bytes.

    Args:
        transport: What to measure; embedded is SQLite.
        events: How many events in a run.
        size_bytes: About how large an event is.
        batch: How many events are published at once.
        runs: How many runs; the median is shown with the least and the most.
        folder: Where the files go; the disk matters. The system's temporary folder if not given.
    """
    console = options.console()
    case = PipelineCase(
        transport=transport,
        events=events,
        size_bytes=size_bytes,
        batch=batch,
        runs=runs,
        folder=folder or "",
    )
    async for figures in run_pipeline(case, console.note):
        console.record(figures)
        _show(console, figures)
        console.flush()


def _show(console: Console, figures: Figures) -> None:
    console.text(
        f"{figures.name}: {figures.n:,} events of about {figures.size_bytes} bytes, batches of "
        f"{figures.batch}, {figures.runs} runs, {figures.backend} {figures.durability}"
    )
    spreads = {
        "events/s": figures.events_per_s,
        "events/s, bare script": figures.raw_events_per_s,
        "ratio": figures.ratio,
        "events/s, bare, blocks": figures.raw_blocks_events_per_s,
        "ratio, blocks": figures.ratio_blocks,
        "CPU s per 100,000": figures.cpu_s_per_100k,
        "peak memory, MB": figures.peak_mb,
    }
    rows = [
        (name, f"{each.median:,g}", f"{each.min:,g}", f"{each.max:,g}")
        for name, each in spreads.items()
    ]
    console.table(_COLUMNS, rows)
    console.text(
        f"latency at half of that rate: p50 {figures.p50_ms:g} ms, p99 {figures.p99_ms:g} ms"
    )
    console.text(f"{figures.cpu}, Python {figures.python}, commit {figures.commit or 'unknown'}")
