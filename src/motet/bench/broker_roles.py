"""Motet on a broker: a process that publishes, and one that handles.

In the measured path of `publish`: building and encoding events, and what the transport does until
they are durable. Of `work`: what the transport does, decoding, routing on type, a handler that
returns one event, deriving its id, encoding, publishing, and noting progress; from the first fetch
until the last of it is done. In mode `store` the output goes through an outbox in SQLite
(`synchronous=full`) and the relay. Not in it: starting Python, joining the group.

Run as `python -m motet.bench.broker_roles ROLE LOAD`; `contest.py` does.
"""

import time
from pathlib import Path

from motet.backends import connect
from motet.bench.child import Result, go
from motet.bench.load import PARTITIONS, BrokerLoad
from motet.bench.orders import make_app, publish
from motet.bench.parts import awaited, play
from motet.bench.timing import Broker, TimedTransport
from motet.core.errors import ConfigError
from motet.core.ports import ProgressKeeper, Transport


def _broker(transport: Transport, url: str) -> Broker:
    if not isinstance(transport, ProgressKeeper):
        raise ConfigError(
            f"{url!r} keeps no progress: there is no delivery mode transport to measure"
        )
    return transport


async def publishing(load: BrokerLoad) -> tuple[Result, float]:
    """Create the topics; at the word publish all events."""
    async with connect(load.url, store="memory://") as backends:
        for topic in (load.source, load.sink):
            await backends.transport.create_topic(topic, partitions=PARTITIONS)
        before_s = go()
        began_ns = time.monotonic_ns()
        await publish(backends.transport, load.source, load)
        return Result(began_ns=began_ns, ended_ns=time.monotonic_ns()), before_s


async def working(load: BrokerLoad) -> tuple[Result, float]:
    """Handle all events, in the delivery mode that the load names."""
    store = f"sqlite:///{Path(load.folder) / 'motet.db'}?synchronous=full"
    app = make_app(
        load.source,
        load.sink,
        name=load.name,
        delivery="store" if load.mode == "store" else "transport",
    )
    async with connect(load.url, store=store) as backends:
        timed = TimedTransport(_broker(backends.transport, load.url), load)
        paced = load.rate_per_s > 0
        before_s = 0.0 if paced else go()
        async with app.run(timed, backends.store):
            if paced:  # then it is at work before the first event comes
                await timed.leased.wait()
                before_s = go()
            await timed.all_done.wait()
        ended = Result(
            began_ns=timed.began_ns,
            ended_ns=timed.ended_ns,
            latencies_us=sorted(timed.ages.latencies_us),
        )
        return ended, before_s


if __name__ == "__main__":
    play({"publish": awaited(publishing), "work": awaited(working)})
