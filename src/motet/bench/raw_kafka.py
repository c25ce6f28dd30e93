"""The raw limit on Kafka: confluent-kafka with nothing around it.

Consume up to a batch, produce each as it is, wait until all are acknowledged by all in-sync
replicas, commit. Idempotent producer, lz4, no decoding, no handler.

Run as `python -m motet.bench.raw_kafka ROLE LOAD`; `contest.py` does.
"""

from urllib.parse import urlsplit

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, libversion
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not declared as exported
    AdminClient,
    ConfigResource,
    NewTopic,
)

from motet.bench.child import Result, go
from motet.bench.load import PARTITIONS, BrokerLoad
from motet.bench.orders import encoded
from motet.bench.parts import play, timed
from motet.core.errors import MotetError

_WAIT_S = 30.0
PRODUCER = {"acks": "all", "enable.idempotence": True, "compression.type": "lz4", "linger.ms": 5}
"""What Motet's own producer is set to."""


def servers(load: BrokerLoad) -> dict[str, str | int | float | bool]:
    """Return the setting that says where the broker is."""
    return {"bootstrap.servers": urlsplit(load.url).netloc.rpartition("@")[2]}


def publishing(load: BrokerLoad) -> tuple[Result, float]:
    """Create the topics; at the word produce all events."""
    create(load)
    producer = _producer(load)
    pairs = encoded(load)

    def work() -> None:
        produce, topic = producer.produce, load.source
        for start in range(0, len(pairs), load.batch):
            for key, value in pairs[start : start + load.batch]:
                produce(topic, value, key)
            producer.poll(0)
        _flush(producer)

    return timed(work)


def working(load: BrokerLoad) -> tuple[Result, float]:
    """Consume, produce, commit, batch by batch."""
    consumer = Consumer(
        {
            **servers(load),
            "group.id": load.name,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    producer = _producer(load)
    consumer.subscribe([load.source])
    joined = consumer.poll(_WAIT_S)  # the group is joined before the time begins
    if joined is None or joined.error():
        raise MotetError(f"nothing came of {load.source!r} within {_WAIT_S:g} s")

    def work() -> None:
        _forward([joined], producer, load.sink)
        left = load.events - 1
        while left > 0:
            messages = consumer.consume(min(load.batch, left), _WAIT_S)
            if not messages:
                raise MotetError(f"{left} events did not come within {_WAIT_S:g} s")
            _forward(messages, producer, load.sink)
            _flush(producer)
            consumer.commit(asynchronous=False)
            left -= len(messages)

    result = timed(work)
    consumer.close()
    return result


def _forward(messages: list[Message], producer: Producer, sink: str) -> None:
    produce = producer.produce
    for message in messages:
        if (error := message.error()) is not None:
            raise KafkaException(error)
        produce(sink, message.value(), message.key())


def _flush(producer: Producer) -> None:
    if left := producer.flush(_WAIT_S):
        raise MotetError(f"{left} messages were not acknowledged within {_WAIT_S:g} s")


def _producer(load: BrokerLoad) -> Producer:
    return Producer(
        {**servers(load), **PRODUCER, "error_cb": _fatal, "queue.buffering.max.messages": 1_000_000}
    )


def _fatal(error: KafkaError) -> None:
    if error.fatal():
        raise KafkaException(error)


def create(load: BrokerLoad) -> None:
    """Create source and sink."""
    admin = AdminClient(servers(load))
    made = admin.create_topics(
        [NewTopic(topic, PARTITIONS, 1) for topic in (load.source, load.sink)]
    )
    for future in made.values():
        future.result(_WAIT_S)


def cleaning(load: BrokerLoad) -> tuple[Result, float]:
    """Delete every topic and group whose name begins with the load's."""
    before_s = go()
    admin = AdminClient(servers(load))
    topics = [name for name in admin.list_topics(timeout=_WAIT_S).topics if load.name in name]
    if topics:
        for future in admin.delete_topics(topics).values():
            future.result(_WAIT_S)
    for group in admin.delete_consumer_groups([load.name]).values():
        try:
            group.result(_WAIT_S)
        except KafkaException:
            continue  # it was never there, or is not empty yet: Kafka forgets it by itself
    return Result(), before_s


def describing(load: BrokerLoad) -> tuple[Result, float]:
    """Say what the broker is, and how durable its acknowledgements are."""
    before_s = go()
    admin = AdminClient(servers(load))
    cluster = admin.list_topics(timeout=_WAIT_S)
    node = next(iter(cluster.brokers))
    resource = ConfigResource(ConfigResource.Type.BROKER, str(node))
    (described,) = admin.describe_configs([resource]).values()
    config = described.result(_WAIT_S)
    flush = config["log.flush.interval.messages"].value
    synced = "left to the system" if int(flush) > 1_000_000 else f"every {flush} messages"
    durability = f"acks=all, idempotent, {len(cluster.brokers)} broker, sync {synced}"
    return Result(backend=f"kafka, librdkafka {libversion()[0]}", durability=durability), before_s


if __name__ == "__main__":
    play(
        {
            "publish": publishing,
            "work": working,
            "clean": cleaning,
            "describe": describing,
        }
    )
