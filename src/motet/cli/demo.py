"""`motet demo`: the order pipeline, from the wheel or from the checkout."""

import asyncio
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

from cyclopts import Parameter

import motet
from motet.cli.console import Console
from motet.cli.options import DEFAULTS, Options, command
from motet.cli.stops import stopping
from motet.core.clock import SystemClock
from motet.core.errors import ConfigError
from motet.telemetry import configure_logs

app = command("demo")

_DRAIN_S = 30.0


@app.default
async def demo(
    *,
    orders: int | None = None,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    source: Literal["CDNOW", "generated"] | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    leave: Annotated[bool, Parameter(name="--exit", negative="")] = False,
    options: Options = DEFAULTS,
) -> int:
    """Run the order pipeline on real purchases, in the current folder.

    Orders are fed in, validated, checked against stock, scored for fraud, paid and handed to
    fulfilment; the table at the end says how each of them ended. All is kept in .motet/demo.db:
    a demo that was stopped or killed goes on where it was, and one that is done says so.

    Example: motet demo --orders 5000 --exit

    JSON: one document: outcomes (orders by outcome), orders, lines, duplicates, source,
    source_detail, latency (p50_ms, p99_ms), run (orders, events, seconds, orders_per_s,
    events_per_s), dead_letters (group, code, reason, count), events, url, api.

    Args:
        orders: How many orders, 20,000 unless given; the first ones of 18 months.
        every: All 69,659 orders.
        source: CDNOW or generated. Unless given, CDNOW where it can be fetched.
        host: Address to listen on.
        port: Port to listen on; 8080, or a free one where that is taken, unless given.
        leave: End when all is handled, instead of serving on.
    """
    if every and orders is not None:
        raise ConfigError("--all and --orders are two answers to one question; give one of them")
    console = options.console()
    configure_logs(level="DEBUG" if options.debug else "ERROR", stream=sys.stderr)
    shown, pipeline = _module("show"), _module("demo")
    wishes = pipeline.Wishes(
        url=options.chosen_url(pipeline.DEFAULT_URL),
        store=options.chosen_store(),
        orders=pipeline.CDNOW_PURCHASES if every else orders,
        source=source,
        host=host,
        port=port,
    )
    bars = shown.Bars(sys.stderr, SystemClock())

    async def work() -> None:
        try:
            async with pipeline.demo(wishes, bars) as done:
                bars.end()
                _show(console, done.report, shown, serving=not leave)
                if not leave:
                    async with bars.status(done):
                        await asyncio.Event().wait()  # until it is cancelled
        finally:
            bars.end()

    async with stopping(console, drain_s=_DRAIN_S, clock=SystemClock()) as stop:
        await stop.wait_for(work())
    if stop.signal is not None:
        console.note("motet: stopped; `motet demo` goes on where it was")
    return stop.exit_code


def _show(console: Console, report: object, shown: ModuleType, *, serving: bool) -> None:
    console.document(report)
    for line in shown.lines(report, width=console.width, serving=serving):
        console.text(line)
    if serving:
        console.text("The API goes on and so do the services. Stop with Ctrl-C.")
    console.flush()


def _module(name: str) -> ModuleType:
    """Import a module of the example: the wheel's copy, or the checkout's own."""
    try:
        return importlib.import_module(f"motet._examples.orders.{name}")
    except ModuleNotFoundError as err:
        if not (err.name or "").startswith("motet._examples"):
            raise
    root = Path(motet.__file__).parents[2]
    if not (root / "examples" / "orders").is_dir():
        raise ConfigError("the order pipeline is not installed; install motet again")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return importlib.import_module(f"examples.orders.{name}")
