import msgspec
import pytest

from motet.bridges import Opener, default_topic
from motet.core.clock import SystemClock
from motet.core.errors import CodecError
from motet.core.event import NULL, Event, Headers, Message
from motet.core.ports import Taken


def opened(
    value: bytes | None, *, headers: Headers = (), id: str | None = None, key: bytes = b""
) -> Event:
    taken = Taken("home/kitchen", Message(key, value, headers), id)
    return Opener("mqtt", SystemClock()).event(taken)


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (b'{"celsius": 21.50}', b'{"celsius":21.50}'),
        (b"21.50", b"21.50"),
        (b"[1, 2]", b"[1,2]"),
        (b"true", b"true"),
        (b"ON", b'"ON"'),
        ("größer".encode(), '"größer"'.encode()),
        (b"", b'""'),
    ],
)
def test_json_and_text_are_the_payload(value: bytes, payload: bytes) -> None:
    event = opened(value)

    assert bytes(event.data) == payload
    assert (event.type, event.key) == ("mqtt.message", "home/kitchen")


def test_an_event_in_the_articles_form_stays_what_it_is() -> None:
    value = {"eventId": "e1", "eventType": "door.opened", "key": "k", "payload": {"a": 1}}

    event = opened(msgspec.json.encode(value))

    assert (event.id, event.type, event.key) == ("e1", "door.opened", "k")


def test_an_event_without_a_key_gets_the_topic_as_its_key() -> None:
    assert opened(b'{"eventType": "door.opened"}').key == "home/kitchen"
    assert opened(b'{"eventType": "door.opened"}', key=b"mine").key == "mine"


@pytest.mark.parametrize("prefix", ["ce_", "cloudEvents_", "cloudEvents:"])
def test_a_cloud_event_is_read_in_both_modes(prefix: str) -> None:
    attributes = {"specversion": "1.0", "id": "c1", "source": "/s", "type": "door.opened"}
    structured = msgspec.json.encode({**attributes, "data": {"a": 1}})
    headers = tuple((f"{prefix}{name}", text.encode()) for name, text in attributes.items())

    one = opened(structured)
    two = opened(b'{"a":1}', headers=(*headers, ("content-type", b"application/json")))

    assert one == msgspec.structs.replace(two, time=one.time)
    assert (one.id, bytes(one.data)) == ("c1", b'{"a":1}')


@pytest.mark.parametrize("value", [b'{"a": ', b"[1,", b"\xff\xfe", b'{"eventType": ""}'])
def test_bytes_that_are_none_of_it_are_refused(value: bytes) -> None:
    with pytest.raises(CodecError):
        opened(value)


def test_the_name_that_a_source_has_for_a_message_is_no_id() -> None:
    assert opened(b"1", id="7").id != opened(b"1", id="7").id


def test_a_tombstone_is_an_event_of_that_type_without_a_payload() -> None:
    event = opened(None, key=b"k")

    assert (event.type, event.key, event.data) == ("tombstone", "k", NULL)


@pytest.mark.parametrize(
    ("url", "topic"),
    [
        ("mqtt://host/home/+/temperature?qos=1", "home"),
        ("mqtt://host/home/kitchen/#", "home.kitchen"),
        ("mqtt://host/$share/group/home/#", "home"),
        ("mqtt://host/#", "mqtt"),
        ("redis+pubsub://host?channel=news:sport", "news.sport"),
        ("redis+pubsub://host?pattern=news*", "news"),
        ("rabbitmq://host?queue=orders", "orders"),
    ],
)
def test_a_source_goes_to_a_topic_of_its_name(url: str, topic: str) -> None:
    assert default_topic(url) == topic
