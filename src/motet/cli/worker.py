"""`motet worker`: more hands for an application that `motet run` serves elsewhere."""

import os
from typing import Annotated

from cyclopts import Parameter

from motet.cli.apps import load_app
from motet.cli.options import DEFAULTS, Flag, Options, command, parse_duration
from motet.cli.stops import stopping
from motet.cli.working import at_work, start_logs
from motet.core.clock import SystemClock
from motet.runtime import Settings
from motet.telemetry import masked

app = command("worker")


@app.default
async def worker(
    target: str,
    /,
    *,
    group: Annotated[list[str] | None, Parameter(negative="")] = None,
    drain: str = "30s",
    in_flight: int = Settings().max_in_flight,
    until_idle: Annotated[bool, Flag] = False,
    options: Options = DEFAULTS,
) -> int:
    """Run an application's workers and the outbox relay, without the HTTP API.

    Start as many as there are processors to use: they share the partitions among them. SIGTERM
    and Ctrl-C drain, as for `motet run`.

    Example: motet worker shop:app --group inventory

    JSON: a stream of lines. The first has app, groups, url, pid; then come the logs.

    Args:
        target: The application as MODULE:NAME; the current folder is looked in first.
        group: Only this consumer group; may be given several times.
        drain: How long a stop waits for work in hand.
        in_flight: Most events that a group's async and blocking handlers work on at once.
        until_idle: Handle what there is, with retries and what is due within a minute, then leave.
    """
    console = options.console()
    drain_s = parse_duration(drain)
    shop = load_app(target)
    start_logs(options)
    async with (
        stopping(console, drain_s=drain_s, clock=SystemClock()) as stop,
        at_work(shop, options, drain_s=drain_s, in_flight=in_flight, groups=group) as work,
    ):
        url = masked(work.backends.url)
        groups = [each.group for each in work.running.workers]
        console.record({"app": shop.name, "groups": groups, "url": url, "pid": os.getpid()})
        console.text(f"{shop.name}: groups {', '.join(groups)} on {url}")
        if not until_idle:
            console.text("Stop with Ctrl-C.")
        console.flush()
        if until_idle:
            await stop.wait_for(work.running.until_idle())
        else:
            await stop.wait()
    return stop.finish()
