import msgspec
import pytest

from motet import App, ConfigError, Event, RetryPolicy
from motet.core.errors import Unavailable
from motet.core.event import Message, Partition, Record
from motet.core.outcome import Commit, Park
from motet.core.ports import Guarantee
from motet.runtime import FailureTopics
from motet.stores.memory import MemoryLog, MemoryStore
from motet.testing import SimClock, make_event, simulate, until
from motet.transports.memory import MemoryTransport

RETRY = RetryPolicy(tries=3, base_s=5.0, jitter_s=0.0)


class Apart(MemoryTransport):
    """A log that is another system than the store, as a broker is."""

    guarantees = MemoryTransport.guarantees & ~Guarantee.SHARED_TX


class World:
    def __init__(self, clock: SimClock) -> None:
        self.clock = clock
        self.log = MemoryLog(clock, partitions=2)
        self.transport = Apart(self.log)
        self.store = MemoryStore(self.log, shared=False)
        self.tried: list[tuple[str, int]] = []  # event id, instant in microseconds

    def app(self, *failing: str, group: str = "billing") -> App:
        app = App("shop")

        @app.on("orders", group=group, on_failure="topic", retry=RETRY, delivery="transport")
        def bill(event: Event) -> None:
            self.tried.append((event.id, self.clock.now_us()))
            if event.id in failing:
                raise TimeoutError("the bank did not answer")

        return app

    def read(self, topic: str) -> list[Record]:
        return [
            record
            for partition in self.log.partitions(topic)
            for record in self.log.read(partition, offset=0, limit=100).records
        ]


def test_a_failed_record_waits_in_retry_topics_and_ends_in_the_dead_letter_topic() -> None:
    good, bad = make_event(1, key="k"), make_event(0, key="k")

    async def program(clock: SimClock) -> World:
        world = World(clock)
        await world.transport.publish("orders", [bad, good])
        async with world.app(bad.id).run(world.transport, world.store, clock=clock) as running:
            await until(lambda: bool(world.read("orders.dlq")), clock, timeout_s=60.0)
            await running.until_idle()
        return world

    world = simulate(program, seed=1)

    # Later ones of its key go on at once; its own tries are 5 and 10 seconds apart.
    assert [id for id, _ in world.tried] == [bad.id, good.id, bad.id, bad.id]
    first, _, second, third = [at_us for _, at_us in world.tried]
    assert second - first >= 5_000_000
    assert third - second >= 10_000_000
    (dead,) = world.read("orders.dlq")
    assert dead.event == bad
    headers = dict(dead.headers)
    assert headers["__dlq.errors.topic"] == b"orders"
    assert headers["__dlq.errors.delivery.count"] == b"3"
    assert headers["__dlq.errors.exception"] == b"TimeoutError"
    assert headers["retry-attempt"] == b"3"
    assert [len(world.read(f"orders.retry.{n}")) for n in (1, 2)] == [1, 1]


def test_a_dead_letter_is_in_the_store_too() -> None:
    bad = make_event(0)

    async def program(clock: SimClock) -> tuple[str, int]:
        world = World(clock)
        await world.transport.publish("orders", [bad])
        async with world.app(bad.id).run(world.transport, world.store, clock=clock):
            await until(lambda: bool(world.read("orders.dlq")), clock, timeout_s=60.0)
        (row,) = await world.store.dead_letters.list()
        return row.letter.event_type, row.letter.attempts

    assert simulate(program, seed=2) == (bad.type, 3)


def test_a_redriven_record_that_fails_again_is_tried_again_and_is_no_repeat() -> None:
    bad = make_event(0, key="k")

    async def program(clock: SimClock) -> tuple[int, list[str]]:
        log = MemoryLog(clock, partitions=2, repeats=True)
        transport, store = MemoryTransport(log), MemoryStore(log, shared=False)
        app, tries = App("shop"), 0

        @app.on("orders", group="billing", on_failure="topic", retry=RETRY)
        def bill(event: Event) -> None:
            nonlocal tries
            tries += 1
            if tries <= 4:  # all of its tries, and the first one of the redrive
                raise TimeoutError("the bank did not answer")

        await transport.publish("orders", [bad])
        async with app.run(transport, store, clock=clock) as running:
            await until(lambda: bool(log.partitions("orders.dlq")), clock, timeout_s=60.0)
            await running.until_idle()
            (row,) = await store.dead_letters.list()
            await store.dead_letters.redrive([row.id], by="me", now_us=clock.now_us())
            await running.until_idle()
        return tries, [topic.name for topic in await transport.topics()]

    tries, topics = simulate(program, seed=7)
    assert tries == 5
    assert topics == ["orders", "orders.dlq", "orders.retry.1", "orders.retry.2"]


def test_another_groups_retry_is_passed_over() -> None:
    bad = make_event(0)

    async def program(clock: SimClock) -> list[str]:
        world = World(clock)
        await world.transport.publish("orders", [bad])
        others = World(clock)
        others.log, others.transport, others.store = world.log, world.transport, world.store
        async with (
            world.app(bad.id).run(world.transport, world.store, clock=clock),
            others.app(group="shipping").run(world.transport, world.store, clock=clock) as running,
        ):
            await until(lambda: bool(world.read("orders.dlq")), clock, timeout_s=60.0)
            await running.until_idle()
        return [id for id, _ in others.tried]

    assert simulate(program, seed=3) == [bad.id]


def test_bytes_that_are_no_event_go_to_the_dead_letter_topic_as_they_came() -> None:
    async def program(clock: SimClock) -> list[bytes]:
        world = World(clock)
        await world.transport.create_topic("orders", partitions=2)
        world.log.append_broken(Partition("orders", 1), b"\xff\x00", error="byte 0: not JSON")
        await world.transport.publish("orders", [make_event(1)])
        async with world.app().run(world.transport, world.store, clock=clock):
            await until(lambda: bool(world.log.partitions("orders.dlq")), clock, timeout_s=60.0)
        places = world.log.partitions("orders.dlq")
        batches = [world.log.read(place, offset=0, limit=9) for place in places]
        return [broken.value for batch in batches for broken in batch.broken]

    assert simulate(program, seed=4) == [b"\xff\x00"]


def test_where_the_log_is_in_the_store_failures_stay_there() -> None:
    bad = make_event(0)

    async def program(clock: SimClock) -> tuple[int, list[str]]:
        world = World(clock)
        transport = MemoryTransport(world.log)
        store = MemoryStore(world.log)
        await transport.publish("orders", [bad])
        async with world.app(bad.id).run(transport, store, clock=clock) as running:
            await running.until_idle()
        topics = [info.name for info in await transport.topics()]
        return len(await store.dead_letters.list()), topics

    assert simulate(program, seed=5) == (1, ["orders"])


def test_where_the_topic_itself_is_not_to_be_seen_nothing_is_sent_and_it_is_tried_again() -> None:
    async def program(clock: SimClock) -> None:
        world = World(clock)
        transport = world.transport
        store = FailureTopics(world.store, transport, transport, clock=clock)
        park = Park(Record(make_event(0), 0, attempt=2), due_us=0)
        with pytest.raises(Unavailable, match="'orders' is not to be seen"):
            await store.commit(Commit("billing", Partition("orders", 0), 0, 1, parks=(park,)))
        assert (await world.store.progress("billing", Partition("orders", 0))).next == 0

    simulate(program, seed=9)


def test_an_unknown_answer_to_failure_is_refused() -> None:
    def handle(event: Event) -> None: ...

    with pytest.raises(ConfigError, match="allowed: 'park', 'skip', 'topic'"):
        App("shop").on("orders", on_failure="explode")(handle)


def test_original_headers_of_a_record_survive_its_retries() -> None:
    event = make_event(0, key="k")

    async def program(clock: SimClock) -> Record:
        world = World(clock)
        await world.transport.create_topic("orders", partitions=2)
        value = msgspec.json.encode(event)
        headers = (("traceparent", b"00-aa-bb-01"),)
        await world.transport.send("orders", [Message(b"k", value, headers)])
        async with world.app(event.id).run(world.transport, world.store, clock=clock):
            await until(lambda: bool(world.read("orders.dlq")), clock, timeout_s=60.0)
        (dead,) = world.read("orders.dlq")
        return dead

    dead = simulate(program, seed=6)
    assert dict(dead.headers)["traceparent"] == b"00-aa-bb-01"
    assert dead.value == msgspec.json.encode(event)


BINARY = (("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", b"ping"), ("ce_source", b"/s"))


@pytest.mark.parametrize(
    "message",
    [
        Message(b"k", b'{"eventType": "order.placed", "payload": {"total": 7}}'),
        Message(b"k", b"", BINARY),
        Message(b"k", None),
    ],
    ids=["without id and time", "a binary CloudEvent without data", "a tombstone"],
)
def test_a_retry_is_of_the_very_same_event_whatever_its_bytes_lack(message: Message) -> None:
    async def program(clock: SimClock) -> tuple[list[bytes], list[bytes]]:
        world = World(clock)
        tried: list[Event] = []
        app = App("shop")

        @app.on("orders", group="billing", on_failure="topic", retry=RETRY)
        def bill(event: Event) -> None:
            tried.append(event)
            raise TimeoutError("the bank did not answer")

        await world.transport.create_topic("orders", partitions=2)
        await world.transport.send("orders", [message])
        async with app.run(world.transport, world.store, clock=clock):
            await until(lambda: bool(world.read("orders.dlq")), clock, timeout_s=60.0)
        sent = [world.read(topic)[0].value for topic in ("orders.retry.1", "orders.dlq")]
        return [msgspec.json.encode(event) for event in tried], sent

    tried, sent = simulate(program, seed=8)
    assert len(tried) == 3
    assert len(set(tried)) == 1
    assert sent == [message.value or b""] * 2
