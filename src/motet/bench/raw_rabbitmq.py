"""The raw limit on RabbitMQ: own frames on a blocking socket.

Deliveries of all partitions are gathered to a batch, published as they are, and acknowledged when
the broker has confirmed that it has them; the next batch is published meanwhile. Partitions are
streams, as Motet's are; in mode `quorum` they are quorum queues. No decoding, no handler.

Run as `python -m motet.bench.raw_rabbitmq ROLE LOAD`; `contest.py` does.
"""

from collections import deque
from zlib import crc32

from pamqp import commands
from pamqp.common import FieldTable

from motet.bench.amqp import Connection, packer
from motet.bench.child import Result, go
from motet.bench.load import PARTITIONS, BrokerLoad
from motet.bench.orders import encoded
from motet.bench.parts import play, timed

QUORUM = "quorum"
_UNDER_WAY = 2  # batches that wait for the broker at once


def queues(topic: str) -> list[str]:
    """Return the names of a topic's partitions."""
    return [f"{topic}.{index}" for index in range(PARTITIONS)]


def publishing(load: BrokerLoad) -> tuple[Result, float]:
    """Create the queues; at the word publish all events, with confirms."""
    connection = Connection(load.url)
    kind: FieldTable = {"x-queue-type": QUORUM if load.mode == QUORUM else "stream"}
    for queue in queues(load.source) + queues(load.sink):
        declare = commands.Queue.Declare(queue=queue, durable=True, arguments=kind)
        connection.call(declare, commands.Queue.DeclareOk)
    connection.call(commands.Confirm.Select(), commands.Confirm.SelectOk)
    packs = [packer(queue) for queue in queues(load.source)]
    pairs = [(packs[crc32(key) % PARTITIONS], value) for key, value in encoded(load)]

    def work() -> None:
        tags: deque[int] = deque()
        for start in range(0, len(pairs), load.batch):
            frames = [pack(value) for pack, value in pairs[start : start + load.batch]]
            tags.append(connection.publish(frames))
            if len(tags) == _UNDER_WAY:
                connection.until_confirmed(tags.popleft())
        connection.until_confirmed(tags.pop())

    return timed(work)


def working(load: BrokerLoad) -> tuple[Result, float]:
    """Consume, publish, acknowledge, batch by batch."""
    # Two connections: the broker stops reading from one that publishes too fast for it.
    connection, out = Connection(load.url), Connection(load.url)
    out.call(commands.Confirm.Select(), commands.Confirm.SelectOk)
    prefetch = min(2 * load.batch, 65_535)
    connection.call(commands.Basic.Qos(prefetch_count=prefetch), commands.Basic.QosOk)
    sources, sinks = queues(load.source), queues(load.sink)
    packs = {source.encode(): packer(sink) for source, sink in zip(sources, sinks, strict=True)}
    arguments: FieldTable = {} if load.mode == QUORUM else {"x-stream-offset": "first"}

    def work() -> None:
        for queue in sources:
            connection.consume(queue, arguments)
        left = load.events
        under_way: deque[tuple[int, int]] = deque()  # last publish, last delivery
        while left > 0:
            batch = connection.deliveries(min(load.batch, left))
            left -= len(batch)
            frames = [packs[tag](body) for tag, _, body in batch]
            under_way.append((out.publish(frames), batch[-1][1]))
            if len(under_way) == _UNDER_WAY or not left:
                for _ in range(1 if left else len(under_way)):
                    published, delivered = under_way.popleft()
                    out.until_confirmed(published)
                    connection.ack(delivered)

    return timed(work)


def cleaning(load: BrokerLoad) -> tuple[Result, float]:
    """Delete what the load made, as the raw client or as Motet names it."""
    before_s = go()
    connection = Connection(load.url)
    prefix, group = f"{load.name}.", load.name
    made = queues(load.source) + queues(load.sink) + [f"{prefix}motet.topics"]
    for topic in (load.source, load.sink):
        for queue in queues(topic):
            made += [f"{prefix}{queue}", f"{prefix}motet.lease.{group}.{queue}"]
            made += [f"{prefix}motet.progress.{group}.{queue}"]
    for queue in made:
        connection.call(commands.Queue.Delete(queue=queue), commands.Queue.DeleteOk)
    for exchange in (load.source, load.sink, f"motet.group.{group}"):
        delete = commands.Exchange.Delete(exchange=f"{prefix}{exchange}")
        connection.call(delete, commands.Exchange.DeleteOk)
    return Result(), before_s


def describing(load: BrokerLoad) -> tuple[Result, float]:
    """Say what the broker is, and how durable its acknowledgements are."""
    before_s = go()
    server = Connection(load.url).server
    product = str(server.get("product", "")).lower()
    return (
        Result(
            backend=f"{product} {server.get('version')}",
            durability="publisher confirms, streams (not synced), persistent",
        ),
        before_s,
    )


if __name__ == "__main__":
    play(
        {
            "publish": publishing,
            "work": working,
            "clean": cleaning,
            "describe": describing,
        }
    )
