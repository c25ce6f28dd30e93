import msgspec
import pytest

from motet.bridges import Via
from motet.core import cloudevents
from motet.core.event import ABSENT, Event
from motet.testing import make_event


def marked(metadata: object) -> Event:
    raw = ABSENT if metadata is None else msgspec.Raw(msgspec.json.encode(metadata))
    return msgspec.structs.replace(make_event(1), metadata=raw)


def test_a_mark_adds_where_the_event_was_and_keeps_the_rest_as_it_was_written() -> None:
    event = msgspec.structs.replace(
        make_event(1), metadata=msgspec.Raw(b'{"price": 1.50, "bridgedvia":"x"}')
    )

    assert bytes(Via("a", "b").mark(event).metadata) == b'{"price":1.50,"bridgedvia":"x,a"}'
    assert bytes(Via("a", "b").mark(make_event(1)).metadata) == b'{"bridgedvia":"a"}'


def test_an_event_has_been_where_a_bridge_took_it_from() -> None:
    first = Via("a", "b").mark(make_event(1))
    second = Via("b", "c").mark(first)

    assert not Via("a", "b").been_there(make_event(1))
    assert Via("b", "a").been_there(first)
    assert Via("c", "a").been_there(second)
    assert Via("c", "b").been_there(second)
    assert not Via("c", "d").been_there(second)


def test_a_mark_is_written_once() -> None:
    once = Via("a", "b").mark(make_event(1))

    assert Via("a", "c").mark(once) == once


@pytest.mark.parametrize("value", [7, None, ["a"], {"a": 1}, ""])
def test_another_programs_member_of_that_name_is_no_mark(value: object) -> None:
    event = marked({"bridgedvia": value})

    assert not Via("b", "a").been_there(event)
    assert Via("b", "a").been_there(Via("a", "b").mark(event))


def test_a_name_that_is_part_of_another_is_not_it() -> None:
    assert not Via("x", "kafka-1").been_there(marked({"bridgedvia": "kafka-12"}))


def test_a_mark_is_an_extension_attribute_of_the_cloud_event() -> None:
    written = cloudevents.to_structured(Via("a", "b").mark(make_event(1)))

    assert msgspec.json.decode(written)["bridgedvia"] == "a"
