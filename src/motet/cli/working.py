"""What `motet run` and `motet worker` share: an application at work until stopped."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from motet.app import App
from motet.backends import Backends
from motet.cli.options import Options
from motet.runtime import Running, Settings
from motet.telemetry import Metrics, Readers, configure_logs


class Work(msgspec.Struct, frozen=True):
    """An application at work in this process."""

    backends: Backends
    running: Running
    metrics: Metrics

    async def not_moving(self) -> str:
        """Say why something does not move at present; empty when all is well."""
        return "; ".join(self.running.problems())


@asynccontextmanager
async def at_work(
    app: App,
    options: Options,
    *,
    drain_s: float,
    in_flight: int,
    groups: list[str] | None = None,
) -> AsyncIterator[Work]:
    """Run the application's groups, or those named, while the block runs; then drain."""
    metrics = Metrics()
    settings = Settings(drain_s=drain_s, max_in_flight=in_flight)
    async with (
        options.connect(make=True, alone=True) as backends,
        app.run(
            backends.transport,
            backends.store,
            settings=settings,
            metrics=metrics,
            groups=groups or None,
        ) as running,
    ):
        yield Work(backends, running, metrics)


def start_logs(options: Options) -> None:
    """Send logs to standard error, or with `--json` to standard output, which is all JSON then."""
    configure_logs(
        level="DEBUG" if options.debug else "INFO",
        as_json=True if options.json else None,
        stream=sys.stdout if options.json else sys.stderr,
    )


def readers(app: App) -> Readers:
    """Return the consumer groups by the topic they read."""
    found: dict[str, list[str]] = {}
    for compiled in app.compile():
        for topic in compiled.processor.topics:
            found.setdefault(topic, []).append(compiled.processor.name)
    return found
