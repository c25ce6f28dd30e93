"""FastStream on Redis Streams: one subscriber a partition, in one process.

Run as `python -m motet.bench.faststream_redis ROLE LOAD`; `contest.py` does.
"""

from zlib import crc32

from faststream.redis import Pipeline, RedisBroker, StreamSub

from motet.bench.child import Result
from motet.bench.load import PARTITIONS, BrokerLoad
from motet.bench.parts import awaited, play
from motet.bench.raw_redis import streams
from motet.bench.rivals import Fact, Tally, all_handled, batched, drive, handled

FIELD = "__data__"
"""Where FastStream looks for a message in an entry."""


def _broker(load: BrokerLoad, tally: Tally) -> RedisBroker:
    broker = RedisBroker(load.url, logger=None)  # type: ignore[arg-type]  # as its documentation says
    sinks = [name.decode() for name in streams(load.sink)]

    def sink(event: Fact) -> str:
        return sinks[crc32(str(event["key"]).encode()) % PARTITIONS]

    async def each(event: Fact) -> None:
        tally.begin()
        made = handled(event)
        await broker.publish(made, stream=sink(made))
        tally.done()

    async def several(events: list[Fact], pipe: Pipeline) -> None:
        tally.begin()
        made = all_handled(events)
        for event in made:
            await broker.publish(event, stream=sink(event), pipeline=pipe)
        await pipe.execute()
        tally.done(len(made))

    batch = batched(load)
    for name in streams(load.source):
        stream = StreamSub(
            name.decode(),
            group="raw",
            consumer="one",
            batch=batch,
            max_records=load.batch,
            polling_interval=100,
        )
        broker.subscriber(stream=stream)(several if batch else each)
    return broker


async def working(load: BrokerLoad) -> tuple[Result, float]:
    """Handle all events."""
    tally = Tally(load.events)
    return await drive(_broker(load, tally), tally)


if __name__ == "__main__":
    play({"work": awaited(working)})
