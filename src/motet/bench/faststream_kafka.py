"""FastStream on Kafka, over confluent-kafka as the raw limit is.

The producer is set as Motet's is: all replicas, idempotent, lz4. Progress is committed after each
handler.

Run as `python -m motet.bench.faststream_kafka ROLE LOAD`; `contest.py` does.
"""

from faststream import AckPolicy
from faststream.confluent import KafkaBroker, KafkaPublishMessage

from motet.bench.child import Result
from motet.bench.load import BrokerLoad
from motet.bench.parts import awaited, play
from motet.bench.raw_kafka import servers
from motet.bench.rivals import Fact, Tally, all_handled, batched, drive, handled


def _key(event: Fact) -> bytes:
    return str(event["key"]).encode()


def _broker(load: BrokerLoad, tally: Tally) -> KafkaBroker:
    broker = KafkaBroker(
        str(servers(load)["bootstrap.servers"]),
        acks="all",
        compression_type="lz4",
        enable_idempotence=True,
        logger=None,
    )

    async def each(event: Fact) -> None:
        tally.begin()
        made = handled(event)
        await broker.publish(made, topic=load.sink, key=_key(made))
        tally.done()

    async def several(events: list[Fact]) -> None:
        tally.begin()
        made = [KafkaPublishMessage(event, key=_key(event)) for event in all_handled(events)]
        await broker.publish_batch(*made, topic=load.sink)
        tally.done(len(made))

    batch = batched(load)
    broker.subscriber(
        load.source,
        group_id=load.name,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        batch=batch,
        max_records=load.batch if batch else None,
    )(several if batch else each)
    return broker


async def working(load: BrokerLoad) -> tuple[Result, float]:
    """Handle all events."""
    tally = Tally(load.events)
    return await drive(_broker(load, tally), tally)


if __name__ == "__main__":
    play({"work": awaited(working)})
