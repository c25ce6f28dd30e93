"""`motet bench`: what this machine can do."""

from typing import Annotated

from cyclopts import Parameter

from motet.bench.broker_figures import BrokerFigures
from motet.bench.cases import EMBEDDED, PipelineCase
from motet.bench.embedded import Figures
from motet.bench.figures import Spread
from motet.bench.pipeline import run_pipeline
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
    transport: str = EMBEDDED,
    events: int | None = None,
    size_bytes: int = 400,
    batch: int = 1000,
    runs: int = 5,
    only: Annotated[list[str] | None, Parameter(negative="")] = None,
    folder: str | None = None,
    options: Options = DEFAULTS,
) -> None:
    """Measure publish, route, handle, emit and commit, beside the same I/O with nothing around it.

    On a broker, whose URL is that of --url or MOTET_URL, all events are published first; then
    Motet in both delivery modes, the raw client and FastStream consume them, in turn.

    Example: motet bench pipeline --transport redis --url redis://127.0.0.1:6379/0 --json

    JSON: a stream of lines, one per case: name, n, events_per_s, raw_events_per_s, ratio,
    cpu_s_per_100k, raw_cpu_s_per_100k, peak_mb (each median, min, max), p50_ms, p99_ms, runs,
    commit, python, cpu, backend, durability, batch, size_bytes. Embedded:
    raw_blocks_events_per_s, ratio_blocks. On a broker: transport, store_events_per_s,
    raw_quorum_events_per_s, faststream_single_events_per_s, faststream_batch_events_per_s,
    ratio_store, ratio_quorum, x_faststream_single, x_faststream_batch, publish_events_per_s,
    raw_publish_events_per_s, store_cpu_s_per_100k, failed; n is by contestant.

    Args:
        transport: What to measure: embedded (SQLite), kafka, rabbitmq or redis.
        events: How many events in a run; 200,000 unless given, 50,000 on RabbitMQ.
        size_bytes: About how large an event is.
        batch: How many events are published at once.
        runs: How many runs; the median is shown with the least and the most.
        only: On a broker, a contestant to measure; may be given several times. There are motet,
            motet-store, raw, raw-quorum, faststream-single, faststream-batch.
        folder: Where the files go; the disk matters. The system's temporary folder if not given.
    """
    console = options.console()
    case = PipelineCase(
        transport=transport,
        url="" if transport == EMBEDDED else options.chosen_url(""),
        events=events or 0,
        size_bytes=size_bytes,
        batch=batch,
        runs=runs,
        only=tuple(only or ()),
        folder=folder or "",
    )
    async for figures in run_pipeline(case, console.note):
        console.record(figures)
        if isinstance(figures, Figures):
            _show(console, figures)
        else:
            _show_broker(console, figures)
        console.flush()


def _show(console: Console, figures: Figures) -> None:
    console.text(
        f"{figures.name}: {figures.n:,} events of about {figures.size_bytes} bytes, batches of "
        f"{figures.batch}, {figures.runs} runs, {figures.backend} {figures.durability}"
    )
    spreads: dict[str, Spread | None] = {
        "events/s": figures.events_per_s,
        "events/s, bare script": figures.raw_events_per_s,
        "ratio": figures.ratio,
        "events/s, bare, blocks": figures.raw_blocks_events_per_s,
        "ratio, blocks": figures.ratio_blocks,
        "CPU s per 100,000": figures.cpu_s_per_100k,
        "peak memory, MB": figures.peak_mb,
    }
    _table(console, spreads)
    _end(console, figures)


def _show_broker(console: Console, figures: BrokerFigures) -> None:
    most = max(figures.n.values(), default=0)
    console.text(
        f"{figures.name}: {most:,} events of about {figures.size_bytes} bytes, batches of "
        f"{figures.batch}, {figures.runs} runs, {figures.backend}, {figures.durability}"
    )
    spreads = {
        "events/s": figures.events_per_s,
        "events/s, mode store": figures.store_events_per_s,
        "events/s, raw client": figures.raw_events_per_s,
        "events/s, raw, quorum queues": figures.raw_quorum_events_per_s,
        "events/s, FastStream single": figures.faststream_single_events_per_s,
        "events/s, FastStream batch": figures.faststream_batch_events_per_s,
        "ratio": figures.ratio,
        "ratio, mode store": figures.ratio_store,
        "ratio, quorum queues": figures.ratio_quorum,
        "times FastStream single": figures.x_faststream_single,
        "times FastStream batch": figures.x_faststream_batch,
        "published/s": figures.publish_events_per_s,
        "published/s, raw client": figures.raw_publish_events_per_s,
        "CPU s per 100,000": figures.cpu_s_per_100k,
        "CPU s per 100,000, mode store": figures.store_cpu_s_per_100k,
        "CPU s per 100,000, raw client": figures.raw_cpu_s_per_100k,
        "peak memory, MB": figures.peak_mb,
    }
    _table(console, spreads)
    fewer = {name: size for name, size in figures.n.items() if size < most}
    if fewer:
        each = ", ".join(f"{name} {size:,}" for name, size in fewer.items())
        console.text(f"fewer events for the slower ones: {each}")
    for name, why in figures.failed.items():
        console.text(f"{name} failed: {why}")
    _end(console, figures)


def _table(console: Console, spreads: dict[str, Spread | None]) -> None:
    rows = [
        (name, f"{each.median:,g}", f"{each.min:,g}", f"{each.max:,g}")
        for name, each in spreads.items()
        if each is not None
    ]
    console.table(_COLUMNS, rows)


def _end(console: Console, figures: Figures | BrokerFigures) -> None:
    if figures.p50_ms:
        console.text(
            f"latency at half of that rate: p50 {figures.p50_ms:g} ms, p99 {figures.p99_ms:g} ms"
        )
    console.text(f"{figures.cpu}, Python {figures.python}, commit {figures.commit or 'unknown'}")
