"""How a demo looks: progress while it works, a table at its end, a line of status after that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TextIO

from rich.console import Console as Rich
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from motet.cli.tables import Column, table
from motet.core.ports import Clock

from .demo import Demo
from .feed import Fed
from .purchases import Source
from .report import SHOWN, Report, Standing, next_steps

_LINE_S = 2.0  # between two lines of progress where there is no terminal
_STATUS_S = 1.0

_OUTCOMES = (Column("OUTCOME"), Column("ORDERS", right=True), Column("SHARE", right=True))
_DEAD = (
    Column("DEAD LETTERS", right=True),
    Column("GROUP"),
    Column("CODE"),
    Column("REASON", wide=True),
)


class Bars:
    """Progress on standard error: bars on a terminal, a line now and then elsewhere."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._rich = Rich(file=stream, stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._rich,
            transient=True,  # the table says it all in the end
        )
        self._published = self._progress.add_task("published", total=None)
        self._handled = self._progress.add_task("handled", total=None)
        self._outcomes = {
            outcome: self._progress.add_task(f"  {outcome}", total=None) for outcome in SHOWN
        }
        self._expected = 0
        self._line_due_s = 0.0

    def begin(self, source: Source, expected: int, api: str) -> None:
        """Say what is done, and where it can be watched; start the bars."""
        self._expected = expected
        self._say(f"motet: {expected:,} orders, {source.name} ({source.detail}); API: {api}")
        self._line_due_s = self._clock.monotonic_s() + _LINE_S
        if self._rich.is_terminal:
            self._progress.start()

    def advance(self, fed: Fed, standing: Standing) -> None:
        """Move the bars, or write a line if the last one is a while ago."""
        if self._rich.is_terminal:
            self._set(self._published, fed.orders)
            self._set(self._handled, standing.ended)
            for outcome, count in standing.outcomes.items():
                self._set(self._outcomes[outcome], count)
        elif (now_s := self._clock.monotonic_s()) >= self._line_due_s:
            self._line_due_s = now_s + _LINE_S
            self._say(
                f"motet: {fed.orders:,} of {self._expected:,} orders published, "
                f"{standing.ended:,} handled"
            )

    def _set(self, bar: TaskID, completed: int) -> None:
        self._progress.update(bar, completed=completed, total=self._expected)

    def end(self) -> None:
        """Leave the bars as they are."""
        if self._progress.live.is_started:
            self._progress.stop()

    @asynccontextmanager
    async def status(self, demo: Demo) -> AsyncIterator[None]:
        """Show how many orders have ended how while the block runs, on a terminal."""
        if not self._rich.is_terminal:
            yield
            return
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self._watch(demo), name="status")
            try:
                yield
            finally:
                task.cancel()

    async def _watch(self, demo: Demo) -> None:
        with self._rich.status("") as line:
            while True:
                now = await demo.standing()
                dead = now.malformed + now.dead
                line.update(f"serving: {now.ended:,} orders ended, {dead:,} of them dead letters")
                await self._clock.sleep(_STATUS_S)

    def _say(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


def lines(report: Report, *, width: int | None = None, serving: bool) -> Sequence[str]:
    """Give the report as text for a person."""
    return [
        "",
        *table(_OUTCOMES, _shares(report), width=width),
        "",
        f"{report.lines:,} events came in, {report.duplicates:,} of them second copies; "
        f"orders: {report.source} ({report.source_detail})",
        _speed(report),
        _latency(report),
        "",
        *table(_DEAD, _dead(report), width=width),
        "",
        "Look next:",
        *(f"  {step}" for step in next_steps(report.url, report.api if serving else None)),
    ]


def _shares(report: Report) -> list[tuple[str, str, str]]:
    rows = [
        (outcome, f"{count:,}", f"{count / max(1, report.orders):.1%}")
        for outcome, count in report.outcomes.items()
    ]
    return [*rows, ("all", f"{report.orders:,}", "")]


def _dead(report: Report) -> list[tuple[str, str, str, str]]:
    return [
        (f"{each.count:,}", each.group or "(edge)", each.code, each.reason)
        for each in report.dead_letters
    ]


def _speed(report: Report) -> str:
    run = report.run
    if run.orders_per_s is None or run.events_per_s is None:
        return f"nothing was left to do: all {report.orders:,} orders were handled before"
    return (
        f"{run.orders:,} orders in {run.seconds:.1f} s: {run.orders_per_s:,.0f} orders/s, "
        f"{run.events_per_s:,.0f} events/s through the log"
    )


def _latency(report: Report) -> str:
    p50_ms, p99_ms = report.latency.p50_ms, report.latency.p99_ms
    if p50_ms is None or p99_ms is None:
        return "no order was processed"
    return f"order.created to order.processed: p50 {p50_ms:,.0f} ms, p99 {p99_ms:,.0f} ms"
