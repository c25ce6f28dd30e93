"""FastStream on RabbitMQ: one subscriber a quorum queue, in one process.

It has no batch handlers for this broker. Publishes are confirmed and persistent, and many handlers
run at once: the prefetch of a channel says how many.

Run as `python -m motet.bench.faststream_rabbitmq ROLE LOAD`; `contest.py` does.
"""

from zlib import crc32

from faststream import AckPolicy
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue

from motet.bench.child import Result
from motet.bench.load import PARTITIONS, BrokerLoad
from motet.bench.parts import awaited, play
from motet.bench.raw_rabbitmq import queues
from motet.bench.rivals import Fact, Tally, drive, handled

_PREFETCH = 100


def _broker(load: BrokerLoad, tally: Tally) -> RabbitBroker:
    broker = RabbitBroker(load.url, logger=None, default_channel=Channel(prefetch_count=_PREFETCH))
    sinks = queues(load.sink)

    async def each(event: Fact) -> None:
        tally.begin()
        made = handled(event)
        sink = sinks[crc32(str(made["key"]).encode()) % PARTITIONS]
        await broker.publish(made, routing_key=sink, persist=True)
        tally.done()

    for name in queues(load.source):
        queue = RabbitQueue(name, queue_type=QueueType.QUORUM)
        broker.subscriber(queue, ack_policy=AckPolicy.NACK_ON_ERROR)(each)
    return broker


async def working(load: BrokerLoad) -> tuple[Result, float]:
    """Handle all events."""
    tally = Tally(load.events)
    return await drive(_broker(load, tally), tally)


if __name__ == "__main__":
    play({"work": awaited(working)})
