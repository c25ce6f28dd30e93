"""`motet run`: everything of an application in one process."""

import os

from motet.cli.apps import load_app
from motet.cli.options import DEFAULTS, Options, command, parse_duration
from motet.cli.stops import stopping
from motet.cli.working import at_work, readers, start_logs
from motet.core.clock import SystemClock
from motet.runtime import Settings
from motet.server import Limits, Services, api, serving
from motet.telemetry import masked

app = command("run")


@app.default
async def run(
    target: str,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    drain: str = "30s",
    in_flight: int = Settings().max_in_flight,
    backlog: int = Limits().backlog_events,
    options: Options = DEFAULTS,
) -> int:
    """Run an application: the HTTP API, its workers and the outbox relay, in one process.

    SIGTERM and Ctrl-C drain: nothing more is taken, what is in hand is committed. The second
    signal stops at once; what was not committed is done again at the next start.

    Example: motet run shop:app --port 8080

    JSON: a stream of lines. The first has app, groups, url, api, pid; then come the logs.

    Args:
        target: The application as MODULE:NAME; the current folder is looked in first.
        host: Address to listen on; 0.0.0.0 for all.
        port: Port to listen on; 0 takes a free one and says which.
        drain: How long a stop waits for work in hand.
        in_flight: Most events that a group's async and blocking handlers work on at once.
        backlog: When a topic's slowest group is so many events behind, a POST is answered 429.
    """
    console = options.console()
    drain_s = parse_duration(drain)
    shop = load_app(target)
    limits = Limits(
        backlog_events=backlog, events_per_request=min(backlog, Limits().events_per_request)
    )
    start_logs(options)
    async with (
        stopping(console, drain_s=drain_s, clock=SystemClock()) as stop,
        at_work(shop, options, drain_s=drain_s, in_flight=in_flight) as work,
        serving(
            api(
                Services(
                    transport=work.backends.transport,
                    store=work.backends.store,
                    metrics=work.metrics,
                    readers=readers(shop),
                    checks={"workers": work.not_moving},
                    limits=limits,
                )
            ),
            host=host,
            port=port,
            drain_s=min(10.0, drain_s),
        ) as address,
    ):
        url = masked(work.backends.url)
        console.record(
            {
                "app": shop.name,
                "groups": shop.groups(),
                "url": url,
                "api": address,
                "pid": os.getpid(),
            }
        )
        console.text(f"{shop.name}: groups {', '.join(shop.groups())} on {url}")
        console.text(f"API: {address} (events to {address}/v1/events)")
        console.text("Stop with Ctrl-C.")
        console.flush()
        await stop.wait()
    return stop.finish()
