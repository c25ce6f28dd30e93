"""`motet bench pipeline`: events through publish, route, handle, emit and a durable commit."""

from collections.abc import AsyncIterator

from motet.bench.broker_figures import BrokerFigures
from motet.bench.cases import EMBEDDED, PipelineCase, Progress
from motet.bench.contest import run_contest
from motet.bench.embedded import Figures, run_embedded


async def run_pipeline(
    case: PipelineCase, progress: Progress
) -> AsyncIterator[Figures | BrokerFigures]:
    """Measure the case; yields one line. `progress` is told of each step.

    Raises:
        ConfigError: the transport is not known, or its broker is not named.
        MotetError: a process failed, or took too long.
    """
    if case.transport == EMBEDDED:
        async for figures in run_embedded(case, progress):
            yield figures
        return
    async for line in run_contest(case, progress):
        yield line
