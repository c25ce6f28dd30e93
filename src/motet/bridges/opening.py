"""Messages of a source become events.

An event in the article's JSON, or a CloudEvent in structured or binary mode, stays what it is.
Other JSON becomes the payload of an event of type `mqtt.message` (or what the source is called),
and so does text, as a JSON string. Bytes that are none of these are no event.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from motet.core import cloudevents, documents
from motet.core.arrivals import LIMITS, TOMBSTONE
from motet.core.clock import format_time
from motet.core.errors import CodecError
from motet.core.event import ABSENT, NULL, Event
from motet.core.ids import IdSource
from motet.core.intake import Intake
from motet.core.ports import Taken, WallClock

_TEXT = msgspec.Raw(b'{"datacontenttype":"text/plain"}')
_BINDINGS = (cloudevents.KAFKA, cloudevents.AMQP, cloudevents.AMQP_COLON)


def default_topic(url: str) -> str:
    """Return the topic for what a source gives: its channel, its queue, or the MQTT filter.

    Of a filter it is what stands before the first wildcard; what no topic can be called is
    replaced by points.
    """
    parts = urlsplit(url.replace("#", "%23"))
    options = parse_qs(parts.query)
    named = [options[name][0] for name in ("channel", "pattern", "queue") if name in options]
    text = named[0] if named else unquote(parts.path)
    if text.startswith("/$share/"):
        text = "/".join(text.split("/")[3:])
    text = re.split(r"[+#*?\[]", text)[0]
    return re.sub(r"[^A-Za-z0-9_-]+", ".", text).strip("._-") or parts.scheme.split("+")[0]


class Opener:
    """Opens what a source gives; `kind` begins the types of the events that it makes."""

    def __init__(self, kind: str, clock: WallClock) -> None:
        self._type = f"{kind}.message"
        self._clock = clock
        self._ids = IdSource(clock)
        self._intake = Intake(clock, ids=self._ids, limits=LIMITS)

    def event(self, taken: Taken) -> Event:
        """Return the event of a message; its key is the message's, or else the topic or channel.

        One that brings no id gets a new one at each delivery: what a source calls a message
        (`Taken.id`) may be another message's name in the next run.

        Raises:
            CodecError: the bytes are no event, no JSON and no text.
        """
        message = taken.message
        key = message.key.decode(errors="replace") or taken.topic_or_channel
        headers = {name: text.decode(errors="replace") for name, text in message.headers}
        binding = _binding(headers)
        if binding is not None:
            event = self._intake.binary(headers, message.value or b"", binding=binding)
        elif message.value is None:
            event = self._made(TOMBSTONE, key, NULL, ABSENT)
        elif _envelope(message.value):
            event = self._intake.event(message.value)
        else:
            event = self._made(self._type, key, *_payload(message.value))
        if event.key in ("", event.id):
            event = msgspec.structs.replace(event, key=key)
        return event

    def _made(self, type: str, key: str, data: msgspec.Raw, metadata: msgspec.Raw) -> Event:
        return Event(
            id=self._ids.next(),
            type=type,
            time=format_time(self._clock.now_us()),
            key=key,
            data=data,
            metadata=metadata,
        )


def _binding(headers: Mapping[str, str]) -> cloudevents.Binding | None:
    """Return how the headers of a CloudEvent in binary mode are called; None: it is none."""
    names = {name.lower() for name in headers}
    for binding in _BINDINGS:
        if f"{binding.prefix}specversion".lower() in names:
            return binding
    return None


def _envelope(value: bytes) -> bool:
    """Whether bytes are meant as an event: an object with the type of one."""
    if not value.lstrip().startswith(b"{"):
        return False
    return b'"eventType"' in value or b'"specversion"' in value


def _payload(value: bytes) -> tuple[msgspec.Raw, msgspec.Raw]:
    try:
        return msgspec.Raw(documents.parse(value).text), ABSENT
    except CodecError as err:
        if value.lstrip()[:1] in (b"{", b"["):
            raise  # meant as JSON
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise CodecError(f"no event, no JSON, no text: {err}", value=value) from err
        return msgspec.Raw(msgspec.json.encode(text)), _TEXT
