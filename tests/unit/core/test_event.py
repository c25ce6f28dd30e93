import copy

import msgspec
import pytest

from motet.core import codec
from motet.core.event import ABSENT, NULL, Batch, Event, Partition, Record

EVENT = Event(id="1", type="order.created", time="2026-05-25T10:15:30Z")


def test_what_is_not_there_is_left_out_on_the_wire() -> None:
    assert codec.encode(EVENT) == (
        b'{"eventId":"1","eventType":"order.created","timestamp":"2026-05-25T10:15:30Z"}'
    )


def test_every_attribute_has_the_articles_name_on_the_wire() -> None:
    event = Event(
        id="1",
        type="t",
        time="2026-05-25T10:15:30Z",
        key="k",
        source="s",
        schema_version=2,
        schema="u",
        correlation_id="c",
        causation_id="d",
        data=msgspec.Raw(b"{}"),
        metadata=msgspec.Raw(b"{}"),
        references=msgspec.Raw(b"{}"),
    )

    assert list(msgspec.json.decode(codec.encode(event))) == [
        "eventId",
        "eventType",
        "timestamp",
        "key",
        "source",
        "version",
        "schema",
        "correlationId",
        "causationId",
        "payload",
        "metadata",
        "references",
    ]


def test_absent_members_are_known_by_identity_also_after_decoding_and_copying() -> None:
    decoded = codec.decode(codec.encode(EVENT))

    assert decoded.metadata is ABSENT
    assert decoded.data is NULL
    assert copy.copy(decoded).metadata is ABSENT
    assert msgspec.structs.replace(decoded, key="k").references is ABSENT


def test_events_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        EVENT.id = "2"


def test_a_partition_reads_as_topic_and_number() -> None:
    assert str(Partition("orders", 3)) == "orders/3"


def test_an_empty_batch_is_a_tick() -> None:
    batch = Batch(Partition("orders", 0))

    assert (batch.records, batch.broken, batch.end) == ((), (), 0)


def test_a_record_counts_from_its_first_try() -> None:
    record = Record(EVENT, 7)

    assert (record.attempt, record.parked) == (1, 0)
