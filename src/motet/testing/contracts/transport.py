"""The contract of a transport: the log as such. `DeliveryContract` has the consumer groups."""

# ruff: noqa: D102 - the name of a test is its documentation

import asyncio
from zlib import crc32

import msgspec
import pytest

from motet.core.errors import CodecError, ConfigError
from motet.core.event import ABSENT, NULL, Event, Partition
from motet.core.ports import Guarantee, Transport
from motet.testing.contracts.consuming import (
    CLOCK,
    PATIENCE_S,
    Group,
    background,
    leased,
    read_topic,
    take,
)
from motet.testing.contracts.delivery import DeliveryContract
from motet.testing.events import make_event, make_events
from motet.testing.simulation import until

_WRONG: list[tuple[str, dict[str, object]]] = [
    ("payload", {"data": msgspec.Raw(b"")}),
    ("payload", {"data": msgspec.Raw(b"<html>502</html>")}),
    ("payload", {"data": msgspec.Raw(b"1,2")}),
    ("payload", {"data": msgspec.Raw(b'1,"key":"another"')}),
    ("payload", {"data": msgspec.Raw(b'1},{"eventId":"x","eventType":"t","timestamp":""')}),
    ("payload", {"data": msgspec.Raw(b'"\xff"')}),
    ("payload", {"data": b"{}"}),
    ("metadata", {"metadata": msgspec.Raw(b"{")}),
    ("metadata", {"metadata": msgspec.Raw(b"[]")}),
    ("references", {"references": msgspec.Raw(b"oops")}),
    ("eventId", {"id": ""}),
    ("eventId", {"id": 7}),
    ("eventId", {"id": "a\0b"}),
    ("eventId", {"id": "x" * 256}),
    ("eventType", {"type": ""}),
    ("eventType", {"type": None}),
    ("timestamp", {"time": 5}),
    ("key", {"key": "\ud800"}),
    ("key", {"key": 7}),
    ("key", {"key": "\x85"}),
    ("source", {"source": "x" * 2049}),
    ("version", {"schema_version": 0}),
]
"""Wire names, and what must not be there."""


class TransportContract(DeliveryContract):
    """Everything a transport owes; a guarantee that is not claimed is tested in its weaker form.

    - not `ORDERED`: every event arrives, in any order.
    - not `STABLE_OFFSETS`: what is delivered again is known by its id.
    - not `REPLAYABLE`: `read` shows nothing that a group has acknowledged; it may show nothing.
    - not `DEDUPLICATED`: an id published twice may arrive twice.
    """

    async def test_an_event_comes_back_as_it_was_published(self) -> None:
        event = Event(
            id="019b7600-0000-7000-8000-00000000abcd",
            type="order.created",
            time="2026-05-25T10:15:30.000123Z",
            key="клиент-42",
            source="/shop/checkout",
            schema_version=3,
            schema="https://example.org/order/3",
            correlation_id="c-1",
            causation_id="c-0",
            data=msgspec.Raw(b'{"total":12.50,"note":"\\u00e9\xc3\xa9\\n"}'),
            metadata=msgspec.Raw(b'{"traceparent":"00-aa-bb-01"}'),
            references=msgspec.Raw(b'{"blob":"s3://x"}'),
        )
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.publish("t", [event])
            async with leased(transport, "t") as lease:
                (back,) = await take(lease, 1)
        assert back == event
        assert bytes(back.data) == bytes(event.data)

    async def test_what_an_event_does_not_have_stays_absent(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.publish("t", [make_event(1)])
            async with leased(transport, "t") as lease:
                (back,) = await take(lease, 1)
        assert back.metadata is ABSENT
        assert back.references is ABSENT

    @pytest.mark.parametrize(
        "payload",
        [NULL, msgspec.Raw(b"{}"), msgspec.Raw(b'""'), msgspec.Raw(b'"' + b"x" * 5_000_000 + b'"')],
        ids=["null", "empty object", "empty text", "5 MB"],
    )
    async def test_payloads_may_be_empty_or_large(self, payload: msgspec.Raw) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            events = [msgspec.structs.replace(make_event(n), data=payload) for n in (1, 2)]
            await transport.publish("t", events)
            async with leased(transport, "t") as lease:
                back = await take(lease, 2)
        assert [bytes(event.data) for event in back] == [bytes(payload)] * 2

    async def test_publish_says_how_many_were_new(self) -> None:
        async with self.make() as transport:
            assert await transport.publish("t", make_events(5)) == 5
            assert await transport.publish("t", []) == 0

    async def test_a_topic_is_made_by_the_first_publish(self) -> None:
        async with self.make() as transport:
            await transport.publish("t", [make_event(1)])
            (info,) = await transport.topics()
        assert (info.name, info.events) == ("t", 1)
        assert info.retention_s is None

    async def test_a_topic_may_be_created_twice_alike(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=3)
            await transport.create_topic("t", partitions=3, retention_s=3600.0)
            (info,) = await transport.topics()
        assert (info.partitions, info.retention_s) == (3, 3600.0)

    async def test_a_topic_keeps_its_number_of_partitions(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=3)
            with pytest.raises(ConfigError):
                await transport.create_topic("t", partitions=4)
            (info,) = await transport.topics()
        assert info.partitions == 3

    async def test_topics_are_listed_by_name_with_their_ends(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("b", partitions=2)
            await transport.create_topic("a", partitions=1)
            await transport.publish("a", make_events(3))
            infos = await transport.topics()
        assert [info.name for info in infos] == ["a", "b"]
        assert [info.ends for info in infos] == [(3,), (0, 0)]
        assert [info.starts for info in infos] == [(0,), (0, 0)]
        assert [info.events for info in infos] == [3, 0]
        assert infos[0].size_bytes is None or infos[0].size_bytes > 0

    async def test_a_key_has_the_same_partition_everywhere(self) -> None:
        async with self.make() as transport:
            await transport.create_topic("t", partitions=5)
            events = make_events(60, keys=20)
            await transport.publish("t", events)
            group = Group(transport, ["t"])
            async with group.consumer():
                await group.until(60)
        for index in range(5):
            mine = sum(crc32(event.key.encode()) % 5 == index for event in events)
            assert group.progress.get(Partition("t", index), 0) == mine

    async def test_an_id_published_again_is_passed_over(self) -> None:
        events = make_events(10, keys=3)
        async with self.make() as transport:
            await transport.publish("t", events[:6])
            again = await transport.publish("t", [events[0], *events[4:], events[9]])
            group = Group(transport, ["t"])
            async with group.consumer():
                # Where it may be there twice, ten records are not ten events.
                await until(lambda: len(set(group.ids)) == 10, CLOCK, timeout_s=PATIENCE_S)
        assert set(group.ids) == {event.id for event in events}
        if Guarantee.DEDUPLICATED in self.guarantees:
            assert again == 4
            assert len(group.ids) == 10

    async def test_an_id_may_be_in_two_topics(self) -> None:
        async with self.make() as transport:
            assert await transport.publish("a", [make_event(1)]) == 1
            assert await transport.publish("b", [make_event(1)]) == 1

    async def test_the_log_can_be_read_again_from_any_offset(self) -> None:
        events = make_events(10)
        partition = Partition("t", 0)
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.publish("t", events[:4])
            await transport.publish("t", events[4:])
            if Guarantee.REPLAYABLE not in self.guarantees:
                return
            batch = await transport.read(partition, offset=3, limit=4)
            assert [r.event.id for r in batch.records] == [e.id for e in events[3:7]]
            assert [r.offset for r in batch.records] == [3, 4, 5, 6]
            assert batch.end == 7
            rest = await transport.read(partition, offset=batch.end, limit=100)
            assert [r.event.id for r in rest.records] == [e.id for e in events[7:]]
            nothing = await transport.read(partition, offset=10, limit=100)
            assert (nothing.records, nothing.end) == ((), 10)

    async def test_a_cancelled_publish_appends_all_or_nothing(self) -> None:
        async with self.make() as transport:
            for round_ in range(20):
                events = make_events(50, keys=7, first=100 * round_)
                topic = f"t{round_}"
                async with background(transport.publish(topic, events)):
                    for _ in range(round_):
                        await CLOCK.sleep(0)
                if Guarantee.REPLAYABLE in self.guarantees:
                    # The next publish queues behind whatever the cancelled one left under way.
                    await transport.publish(topic, [make_event(9_999_999)])
                    assert len(await read_topic(transport, topic)) in (1, 51)

    @pytest.mark.parametrize(("member", "wrong"), _WRONG, ids=[str(n) for n in range(len(_WRONG))])
    async def test_an_event_that_could_not_be_read_back_is_refused(
        self, member: str, wrong: dict[str, object]
    ) -> None:
        bad = msgspec.structs.replace(make_event(1), **wrong)
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            with pytest.raises(CodecError) as refusal:
                await transport.publish("t", [make_event(0), bad, make_event(2)])
            assert refusal.value.where == f"$.{member}"
            assert repr(str(bad.id)[:80]) in str(refusal.value)
            # Nothing of that call was appended, and the ids are free.
            assert await transport.publish("t", [make_event(0), make_event(2)]) == 2
            async with leased(transport, "t") as lease:
                assert await take(lease, 2) == [make_event(0), make_event(2)]

    async def test_a_refused_publish_takes_nobody_along(self) -> None:
        bad = msgspec.structs.replace(make_event(99), data=msgspec.Raw(b""))
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            async with asyncio.TaskGroup() as tasks:
                for number in range(10):
                    tasks.create_task(transport.publish("t", [make_event(number)]), name="good")
                    tasks.create_task(_refused(transport, bad), name="bad")
            async with leased(transport, "t") as lease:
                came = await take(lease, 10)
        assert sorted(event.id for event in came) == [make_event(n).id for n in range(10)]

    async def test_whatever_is_json_may_be_published(self) -> None:
        payloads = [b"0", b"-1.5e3", b' {"a": [1, {"b": null}]}\n', '"клиент\\n\x7f"'.encode()]
        events = [
            msgspec.structs.replace(make_event(n), data=msgspec.Raw(each))
            for n, each in enumerate(payloads)
        ]
        async with self.make() as transport:
            await transport.create_topic("t", partitions=1)
            await transport.publish("t", events)
            async with leased(transport, "t") as lease:
                came = await take(lease, len(events))
        assert [bytes(event.data).strip() for event in came] == [each.strip() for each in payloads]

    async def test_changed_returns_when_something_is_published(self) -> None:
        async with (
            self.make() as transport,
            asyncio.timeout(PATIENCE_S),
            background(_keep_publishing(transport)),
        ):
            await transport.changed(10 * PATIENCE_S)

    async def test_changed_returns_after_its_time(self) -> None:
        async with self.make() as transport, asyncio.timeout(PATIENCE_S):
            await transport.changed(0.01)


async def _keep_publishing(transport: Transport) -> None:
    for number in range(100_000):
        await transport.publish("t", [make_event(number)])
        await CLOCK.sleep(0.001)


async def _refused(transport: Transport, bad: Event) -> None:
    with pytest.raises(CodecError):
        await transport.publish("t", [bad])
