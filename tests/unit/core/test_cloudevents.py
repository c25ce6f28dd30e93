import base64
import json

import msgspec
import pytest
from cloudevents.core.bindings import amqp, http, kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import assume, given
from hypothesis import strategies as st

from motet.core import cloudevents
from motet.core.cloudevents import HTTP, KAFKA, Binding
from motet.core.errors import CodecError
from motet.core.event import ABSENT, Event
from motet.core.intake import Intake
from tests.unit.core.strategies import (
    attempt,
    events,
    meaning,
    mutated,
    names,
    printable,
    raw,
    texts,
    times,
    values,
)
from tests.unit.core.test_intake import NOW, StoppedClock

intake = Intake(StoppedClock())
AMQP = Binding("cloudEvents_", content_type="content_type")
CLOUD: dict[str, object] = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "/mycontext",
    "type": "com.example.someevent",
}
FULL = Event(
    id="1",
    type="order.created",
    time="2026-05-25T10:15:30Z",
    key="s-1",
    source="/shop",
    schema_version=2,
    schema="https://example.com/order/v2",
    correlation_id="c",
    causation_id="d",
    data=msgspec.Raw(b'{"agentId":"a","sessionId":"s-1","total":1.50}'),
    metadata=msgspec.Raw(b'{"tenant":"acme","traceContext":{"traceId":"0af7"},"retries":3}'),
    references=msgspec.Raw(b'{"snapshot":"user:1"}'),
)

extension_names = st.text("abcxyz019", min_size=1, max_size=24)
reserved = ["subject", "datacontenttype", "data_base64", "metadata", "references", "id", "data"]
metadata = st.dictionaries(
    extension_names | st.sampled_from([*reserved, "traceContext", "key", "version"]) | texts,
    st.sampled_from(["text/plain", "application/vnd.acme+json", "application/json", True, "{}"])
    | st.integers(-(2**33), 2**33)
    | values,
    max_size=5,
)
payloads = (
    values
    | st.fixed_dictionaries({"sessionId": names | texts, "agentId": texts})
    | st.binary().map(lambda raw: base64.b64encode(raw).decode())
)


@st.composite
def cloudy_events(draw: st.DrawFn) -> Event:
    """Events whose payload and metadata are meant to get in the way of a translation."""
    return msgspec.structs.replace(
        draw(events()),
        metadata=draw(st.just(ABSENT) | metadata.map(raw)),
        data=draw(payloads.map(raw)),
    )


def structured(**members: object) -> Event:
    return intake.event(json.dumps({**CLOUD, **members}).encode())


def metadata_of(event: Event) -> object:
    return json.loads(bytes(event.metadata)) if event.metadata is not ABSENT else None


# There and back


@given(cloudy_events())
def test_an_event_comes_back_from_structured_mode_as_it_was(event: Event) -> None:
    assert meaning(intake.event(cloudevents.to_structured(event))) == meaning(event)


@given(st.lists(cloudy_events(), max_size=3))
def test_so_do_many_in_batched_mode(several: list[Event]) -> None:
    taken = intake.request({"content-type": cloudevents.BATCHED}, cloudevents.to_batched(several))

    assert [meaning(event) for event in taken.events] == [meaning(event) for event in several]
    assert taken.refusals == ()


@pytest.mark.parametrize("binding", [HTTP, KAFKA, AMQP, Binding("")])
@given(cloudy_events())
def test_an_event_comes_back_from_binary_mode_with_its_extensions_as_text(
    binding: Binding, event: Event
) -> None:
    headers, body = cloudevents.to_binary(event, binding=binding)
    assume(body or bytes(event.data) == b"null")  # empty data is none, in binary mode
    assume(headers.get(binding.content_type) != "{}")  # what is neither JSON nor text is bytes

    back = intake.binary(headers, body, binding=binding)

    expected = meaning(event)
    if event.metadata is not ABSENT:
        prefix = binding.prefix
        expected["metadata"] = {
            name: json.dumps(value)
            if prefix + name in headers and isinstance(value, int) and name not in reserved
            else value
            for name, value in json.loads(bytes(event.metadata)).items()
        }
    assert meaning(back) == expected


@given(cloudy_events())
def test_headers_are_printable_ascii_over_http(event: Event) -> None:
    headers, _ = cloudevents.to_binary(event)

    for name, value in headers.items():
        assert name.isascii()
        assert value.isascii()
        assert value.isprintable()


# Against the CloudEvents project's own package


@given(cloudy_events())
def test_the_sdk_reads_what_we_write_in_structured_mode(event: Event) -> None:
    theirs = JSONFormat().read(CloudEvent, cloudevents.to_structured(event))

    assert (theirs.get_id(), theirs.get_type(), theirs.get_source()) == (
        event.id,
        event.type,
        event.source,
    )
    assert theirs.get_extension("partitionkey") == event.key
    assert theirs.get_extension("dataversion") == event.schema_version
    assert (theirs.get_dataschema() or "") == event.schema


@given(cloudy_events())
def test_the_sdk_reads_what_we_write_in_binary_mode(event: Event) -> None:
    headers, body = cloudevents.to_binary(event)

    theirs = http.from_binary(http.HTTPMessage(headers, body), JSONFormat(), CloudEvent)

    assert (theirs.get_id(), theirs.get_type(), theirs.get_source()) == (
        event.id,
        event.type,
        event.source,
    )
    assert theirs.get_extension("partitionkey") == event.key
    assert theirs.get_extension("dataversion") == str(event.schema_version)


@st.composite
def their_events(draw: st.DrawFn) -> CloudEvent:
    """What the SDK lets through its own checks, and the specification too."""
    attributes: dict[str, object] = {
        "id": draw(names),
        "source": draw(names),
        "type": draw(names),
        "time": JSONFormat()
        .read(CloudEvent, json.dumps({**CLOUD, "time": draw(times)}).encode())
        .get_time(),
    }
    if draw(st.booleans()):
        attributes["subject"] = draw(names)
    extension = st.text("abcxyz019", min_size=1, max_size=20).map(lambda name: "x" + name[:19])
    text = st.text(printable, min_size=1, max_size=10)
    attributes.update(draw(st.dictionaries(extension, text, max_size=3)))
    data = draw(st.none() | st.dictionaries(texts, values, max_size=3) | st.binary(min_size=1))
    attributes["datacontenttype"] = (
        "application/octet-stream" if isinstance(data, bytes) else "application/json"
    )
    return CloudEvent(attributes, data)


@given(their_events(), st.sampled_from(["structured", "binary"]))
def test_we_read_what_the_sdk_writes(theirs: CloudEvent, mode: str) -> None:
    write = http.to_binary if mode == "binary" else http.to_structured
    message = write(theirs, JSONFormat())

    taken = intake.request(message.headers, message.body)

    assert taken.refusals == ()
    [event] = taken.events
    assert (event.id, event.type, event.source) == (
        theirs.get_id(),
        theirs.get_type(),
        theirs.get_source(),
    )
    data = theirs.get_data()
    expected = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    assert json.loads(bytes(event.data)) == expected
    kept = metadata_of(event) or {}
    assert isinstance(kept, dict)
    for name, value in theirs.get_attributes().items():
        if name.startswith("x"):
            assert kept[name] == value
    if theirs.get_subject():
        assert event.key == theirs.get_subject()


def test_the_sdk_and_we_agree_over_kafka_and_amqp() -> None:
    headers, body = cloudevents.to_binary(FULL, binding=KAFKA)
    theirs = kafka.from_binary(
        kafka.KafkaMessage({k: v.encode() for k, v in headers.items()}, None, body), JSONFormat()
    )
    message = amqp.to_binary(theirs, JSONFormat())
    properties = {"content_type": str(message.properties["content-type"])}
    attributes = {name: str(value) for name, value in message.application_properties.items()}
    attributes["cloudEvents_time"] = FULL.time

    back = intake.binary({**attributes, **properties}, message.application_data, binding=AMQP)

    assert back.id == FULL.id
    assert back.key == FULL.key
    assert json.loads(bytes(back.data)) == json.loads(bytes(FULL.data))


# What becomes of each attribute


def test_every_field_has_its_place() -> None:
    assert json.loads(cloudevents.to_structured(FULL)) == {
        "specversion": "1.0",
        "id": "1",
        "source": "/shop",
        "type": "order.created",
        "time": "2026-05-25T10:15:30Z",
        "subject": "s-1",
        "partitionkey": "s-1",
        "dataschema": "https://example.com/order/v2",
        "dataversion": 2,
        "correlationid": "c",
        "causationid": "d",
        "datacontenttype": "application/json",
        "tenant": "acme",
        "retries": 3,
        "metadata": '{"traceContext":{"traceId":"0af7"}}',
        "references": '{"snapshot":"user:1"}',
        "data": {"agentId": "a", "sessionId": "s-1", "total": 1.5},
    }
    assert b'"total":1.50' in cloudevents.to_structured(FULL)


def test_in_binary_mode_the_data_is_the_body() -> None:
    headers, body = cloudevents.to_binary(FULL)

    assert body == bytes(FULL.data)
    assert headers["content-type"] == "application/json"
    assert headers["ce-dataversion"] == "2"
    assert headers["ce-metadata"] == "{%22traceContext%22:{%22traceId%22:%220af7%22}}"
    assert "ce-datacontenttype" not in headers


@pytest.mark.parametrize(
    ("payload", "source"),
    [({"agentId": "support bot"}, "/agents/support%20bot"), ({}, "/motet"), ([1], "/motet")],
)
def test_an_event_without_a_source_is_given_one(payload: object, source: str) -> None:
    event = Event(id="1", type="t", time=NOW, data=raw(payload))

    assert json.loads(cloudevents.to_structured(event))["source"] == source


@pytest.mark.parametrize(
    ("members", "key", "kept"),
    [
        ({}, CLOUD["id"], None),
        ({"subject": "s"}, "s", {"subject": "s"}),
        ({"partitionkey": "p", "subject": "s"}, "p", {"subject": "s"}),
        ({"data": {"sessionId": "x"}}, "x", None),
        ({"data": {"sessionId": "x"}, "subject": "x"}, "x", None),
        ({"data": {"sessionId": "x"}, "partitionkey": "p"}, "p", None),
    ],
)
def test_the_key_is_partitionkey_or_subject_or_session_or_id(
    members: dict[str, object], key: str, kept: object
) -> None:
    event = structured(**members)

    assert event.key == key
    assert metadata_of(event) == kept


@pytest.mark.parametrize(
    ("members", "version"),
    [
        ({}, 1),
        ({"dataversion": 3}, 3),
        ({"dataversion": "3"}, 3),
        ({"dataschema": "https://example.com/order/v2"}, 2),
        ({"dataschema": "https://example.com/order/v2/"}, 2),
        ({"dataschema": "https://example.com/v2/order"}, 1),
        ({"dataschema": "https://example.com/order/v2", "dataversion": 5}, 5),
    ],
)
def test_the_version_is_an_extension_or_at_the_end_of_the_schema(
    members: dict[str, object], version: int
) -> None:
    assert structured(**members).schema_version == version


def test_extensions_are_kept_with_their_types() -> None:
    event = structured(traceparent="00-0af7", sampledrate=10, urgent=True)

    assert metadata_of(event) == {"traceparent": "00-0af7", "sampledrate": 10, "urgent": True}


def test_null_is_the_same_as_missing() -> None:
    event = structured(time=None, subject=None, data=None, data_base64=None, tenant=None)

    assert (event.time, event.metadata, bytes(event.data)) == (NOW, ABSENT, b"null")


# Data that is not JSON


def test_bytes_become_base_64_and_bytes_again() -> None:
    event = structured(data_base64="AP8=", datacontenttype="image/png")

    assert bytes(event.data) == b'"AP8="'
    assert metadata_of(event) == {"datacontenttype": "image/png", "data_base64": True}
    headers, body = cloudevents.to_binary(event)
    assert (headers["content-type"], body) == ("image/png", b"\x00\xff")
    assert intake.binary(headers, body) == event
    assert json.loads(cloudevents.to_structured(event))["data_base64"] == "AP8="


@pytest.mark.parametrize(
    ("payload", "metadata"),
    [
        ({"a": 1}, {"datacontenttype": "text/é"}),
        ({"a": 1}, {"datacontenttype": "image/png"}),
        ({"a": 1}, {"datacontenttype": 5}),
        ({"a": 1}, {"data_base64": True, "datacontenttype": "image/png"}),
        ("AP8=", {"data_base64": True}),
        ("AP8=", {"data_base64": 1, "datacontenttype": "application/json"}),
        ("no base 64", {"data_base64": True, "datacontenttype": "text/plain"}),
    ],
)
def test_members_that_only_look_like_ours_are_kept_as_they_are(
    payload: object, metadata: dict[str, object]
) -> None:
    event = msgspec.structs.replace(FULL, data=raw(payload), metadata=raw(metadata))

    assert meaning(intake.event(cloudevents.to_structured(event))) == meaning(event)
    assert meaning(intake.binary(*cloudevents.to_binary(event))) == meaning(event)


def test_bytes_of_no_type_are_octets() -> None:
    event = structured(data_base64="AP8=")

    assert metadata_of(event) == {
        "datacontenttype": "application/octet-stream",
        "data_base64": True,
    }
    assert intake.binary(*cloudevents.to_binary(event)) == event


def test_json_in_base_64_is_json() -> None:
    encoded = base64.b64encode(b'{ "a" : 1 }').decode()

    event = structured(data_base64=encoded, datacontenttype="application/json")

    assert bytes(event.data) == b'{"a":1}'


@pytest.mark.parametrize("content_type", ["text/html", "application/xml", "image/svg+xml"])
def test_text_stays_text(content_type: str) -> None:
    event = structured(data="<a/>", datacontenttype=content_type)

    assert bytes(event.data) == b'"<a/>"'
    headers, body = cloudevents.to_binary(event)
    assert (headers["content-type"], body) == (content_type, b"<a/>")
    assert intake.binary(headers, body) == event


def test_text_that_we_send_is_utf_8_whatever_it_was() -> None:
    event = structured(data="é", datacontenttype="text/plain; charset=latin-1; format=flowed")

    headers, body = cloudevents.to_binary(event)

    assert (headers["content-type"], body) == ("text/plain; format=flowed", "é".encode())


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("text/plain", b"\xe9"), ("text/plain; charset=latin-1", b"e"), ("application/pdf", b"%PDF")],
)
def test_other_bodies_are_bytes(content_type: str, body: bytes) -> None:
    headers = {f"ce-{name}": str(value) for name, value in CLOUD.items()}

    event = intake.binary({**headers, "content-type": content_type}, body)

    assert json.loads(bytes(event.data)) == base64.b64encode(body).decode()
    assert cloudevents.to_binary(event)[1] == body


def test_a_json_type_of_ones_own_is_kept() -> None:
    event = structured(data={"a": 1}, datacontenttype="application/vnd.acme+json")

    headers, body = cloudevents.to_binary(event)

    assert (headers["content-type"], body) == ("application/vnd.acme+json", b'{"a":1}')
    assert intake.binary(headers, body) == event


# Headers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ('"quoted \\"text\\""', 'quoted "text"'),
        ("50%", "50%"),
        ("a%25b", "a%b"),
        ("plain", "plain"),
    ],
)
def test_header_values_are_decoded_as_the_http_binding_says(text: str, value: str) -> None:
    headers = {f"ce-{name}": str(value) for name, value in CLOUD.items()}

    event = intake.binary({**headers, "ce-tenant": text}, b"")

    assert metadata_of(event) == {"tenant": value}


def test_other_transports_do_not_encode() -> None:
    headers = {f"ce_{name}": str(value) for name, value in CLOUD.items()}

    event = intake.binary({**headers, "ce_tenant": "50%25 €"}, b"", binding=KAFKA)

    assert metadata_of(event) == {"tenant": "50%25 €"}


def test_headers_that_are_not_ours_are_passed_over() -> None:
    headers = {f"ce-{name}": str(value) for name, value in CLOUD.items()}

    event = intake.binary({**headers, "host": "x", "x-ce-tenant": "y"}, b"")

    assert event.metadata is ABSENT


@pytest.mark.parametrize(
    ("headers", "where", "message"),
    [
        ({"ce-time": "noon"}, "header ce-time", "RFC 3339"),
        ({"ce-id": ""}, "header ce-id", "empty"),
        ({"ce-id": "%ff"}, "header ce-id", "UTF-8"),
        ({"ce-id": "\ud800"}, "header ce-id", "UTF-8"),
        ({"ce-id": "a%0ab"}, "header ce-id", "control"),
        ({"content-type": "\ud800"}, "header content-type", "UTF-8"),
        ({"ce-Tenant_Id": "x"}, "header ce-tenant_id", "lower-case"),
        ({"ce-data": "x"}, "header ce-data", "lower-case"),
        ({"CE-ID": "x"}, "header ce-id", "twice"),
        ({"ce-specversion": "0.3"}, "header ce-specversion", "'0.3'"),
        ({"ce-dataversion": "two"}, "header ce-dataversion", "integer"),
        ({"ce-dataversion": "0"}, "header ce-dataversion", "from 1"),
        ({"ce-subject": "x" * 300}, "header ce-subject", "300 characters"),
        ({"ce-partitionkey": "x" * 300}, "header ce-partitionkey", "300 characters"),
    ],
)
def test_a_bad_header_is_named(headers: dict[str, str], where: str, message: str) -> None:
    good = {f"ce-{name}": str(value) for name, value in CLOUD.items()}

    with pytest.raises(CodecError, match=message) as caught:
        intake.binary({**good, **headers}, b"1")

    assert caught.value.where == where
    assert caught.value.value == b"1"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"a":[1,NaN]}', "$.data.a[1]"),
        (b'{"a":1,"a":2}', "$.data.a"),
        (b"{", "byte 1"),
        (b'{"sessionId":"' + b"x" * 300 + b'"}', "$.data.sessionId"),
        (b"1" * ((1 << 20) + 1), "byte 1048576"),
    ],
)
def test_a_bad_body_is_named(body: bytes, where: str) -> None:
    good = {f"ce-{name}": str(value) for name, value in CLOUD.items()}

    with pytest.raises(CodecError) as caught:
        intake.binary(good, body)

    assert caught.value.where == where


# What is refused in structured mode


@pytest.mark.parametrize(
    ("members", "where", "message"),
    [
        ({"specversion": "0.3"}, "$.specversion", "'1.0' is read here"),
        ({"specversion": 1.0}, "$.specversion", "an attribute is"),
        ({"id": None}, "$.id", "required"),
        ({"id": ""}, "$.id", "empty"),
        ({"id": 5}, "$.id", "expected text"),
        ({"source": ""}, "$.source", "empty"),
        ({"source": None}, "$.source", "required"),
        ({"type": ""}, "$.type", "required"),
        ({"type": True}, "$.type", "expected text, found true"),
        ({"time": "noon"}, "$.time", "RFC 3339"),
        ({"time": 5}, "$.time", "expected text"),
        ({"subject": 5}, "$.subject", "expected text"),
        ({"partitionkey": "a\nb"}, "$.partitionkey", "control"),
        ({"dataversion": True}, "$.dataversion", "integer"),
        ({"dataversion": "2.0"}, "$.dataversion", "integer"),
        ({"dataversion": 0}, "$.dataversion", "from 1"),
        ({"tenantId": "x"}, "$.tenantId", "lower-case"),
        ({"x-y": "x"}, '$["x-y"]', "lower-case"),
        ({"tenant": 1.5}, "$.tenant", "an attribute is"),
        ({"tenant": 2**31}, "$.tenant", "an attribute is"),
        ({"tenant": {}}, "$.tenant", "an attribute is"),
        ({"data": 1, "data_base64": "AA=="}, "$.data_base64", "data as well"),
        ({"data_base64": "A"}, "$.data_base64", "not base 64"),
        ({"data_base64": "é"}, "$.data_base64", "not base 64"),
        ({"data_base64": 5}, "$.data_base64", "as a string"),
        ({"data": {"sessionId": "a\nb"}}, "$.data.sessionId", "control"),
    ],
)
def test_a_refusal_says_what_and_where(
    members: dict[str, object], where: str, message: str
) -> None:
    with pytest.raises(CodecError, match=message) as caught:
        structured(**members)

    assert caught.value.where == where
    assert json.loads(caught.value.value) == {**CLOUD, **members}


def test_json_in_base_64_that_is_none_is_refused_in_its_place() -> None:
    encoded = base64.b64encode(b'{"a":NaN}').decode()

    with pytest.raises(CodecError) as caught:
        structured(data_base64=encoded, datacontenttype="application/json")

    assert caught.value.where == "$.data.a"


@pytest.mark.parametrize(
    "event",
    [
        msgspec.structs.replace(FULL, data=msgspec.Raw(b'"\xff"')),
        msgspec.structs.replace(FULL, metadata=msgspec.Raw(b"[]")),
        msgspec.structs.replace(FULL, metadata=msgspec.Raw(b'{"a":"\xff"}')),
        msgspec.structs.replace(FULL, references=msgspec.Raw(b'"\xff"')),
        msgspec.structs.replace(FULL, id="\ud800"),
    ],
)
def test_an_event_that_is_none_cannot_be_written(event: Event) -> None:
    with pytest.raises(CodecError, match="cannot be a CloudEvent"):
        cloudevents.to_structured(event)
    with pytest.raises(CodecError, match="cannot be a CloudEvent"):
        cloudevents.to_binary(event)


@given(mutated(cloudevents.to_structured(FULL)))
def test_damaged_bytes_give_an_event_or_a_codec_error(value: bytes) -> None:
    found = attempt(intake.event, value)

    if isinstance(found, CodecError):
        assert found.value == value
    else:
        assert meaning(intake.event(cloudevents.to_structured(found))) == meaning(found) or (
            not found.source
        )


@given(
    st.dictionaries(st.sampled_from(sorted(cloudevents.to_binary(FULL)[0])), st.text()),
    st.binary() | mutated(bytes(FULL.data)),
)
def test_damaged_headers_and_bodies_do_too(headers: dict[str, str], body: bytes) -> None:
    good, _ = cloudevents.to_binary(FULL)

    found = attempt(lambda value: intake.binary({**good, **headers}, value), body)

    if isinstance(found, CodecError):
        assert found.where
    else:
        assert cloudevents.to_structured(found)
