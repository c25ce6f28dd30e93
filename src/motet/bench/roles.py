"""The two processes of the pipeline benchmark: one publishes, one handles.

In the measured path: building and encoding events, appending them with deduplication by id,
reading, decoding, routing on type, a handler that returns one event, deriving its id, encoding,
and one durable commit of output and progress. Not in it: starting Python, opening the file.

Run as `python -m motet.bench.roles ROLE URL SETTINGS`; `embedded.py` does.
"""

import asyncio
import sys
import time

import msgspec

from motet.backends import connect
from motet.bench.child import Result, go, report
from motet.bench.load import PipelineLoad
from motet.bench.orders import Ages, emitted, make_app, publish
from motet.core.outcome import Commit
from motet.core.ports import Store

_SOURCE, _SINK = "bench-in", "bench-out"


class TimedStore:
    """A store that notes, after each commit, how old a sample of its events is."""

    def __init__(self, inner: Store, wanted: int) -> None:
        self._inner = inner
        self._wanted = wanted
        self.ages = Ages(wanted)
        self.outbox = inner.outbox
        self.dead_letters = inner.dead_letters
        self.streams = inner.streams
        self.state = inner.state
        self.progress = inner.progress
        self.parked = inner.parked
        self.handled = inner.handled
        self.groups = inner.groups
        self.all_done = asyncio.Event()
        self.ended_ns = 0

    async def commit(self, commit: Commit) -> None:
        """Commit, then take the time."""
        await self._inner.commit(commit)
        events = emitted(commit.outcomes)
        self.ages.note(events)
        self._wanted -= len(events)
        if self._wanted <= 0:
            self.ended_ns = time.monotonic_ns()
            self.all_done.set()


async def main(role: str, url: str, settings: str) -> None:
    """Play one role and report when it began and ended."""
    load = msgspec.json.decode(settings, type=PipelineLoad)
    async with connect(url) as backends:
        if role == "publish":
            before_s = go()
            began_ns = time.monotonic_ns()
            await publish(backends.transport, _SOURCE, load)
            report(Result(began_ns=began_ns, ended_ns=time.monotonic_ns()), before_s=before_s)
            return
        store = TimedStore(backends.store, load.events)
        before_s = go()
        began_ns = time.monotonic_ns()
        async with make_app(_SOURCE, _SINK).run(backends.transport, store):
            await store.all_done.wait()
        latencies_us = sorted(store.ages.latencies_us)
        ended = Result(began_ns=began_ns, ended_ns=store.ended_ns, latencies_us=latencies_us)
        report(ended, before_s=before_s)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
