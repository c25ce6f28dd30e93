"""Messages of a source become events.

An event in the article's JSON, or a CloudEvent in structured or binary mode, stays what it is.
Other JSON becomes the payload of an event of type `mqtt.message` (or what the source is called),
and so does text, as a JSON string. Bytes that are none of these are no event.
"""

import re
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from motet.core import cloudevents, documents
from motet.core.arrivals import LIMITS
from motet.core.clock import format_time
from motet.core.errors import CodecError
from motet.core.event import ABSENT, Event
from motet.core.ids import Derived, Ids, IdSource
from motet.core.intake import Intake
from motet.core.ports import Taken, WallClock

_derived = Derived("source")
_TEXT = msgspec.Raw(b'{"datacontenttype":"text/plain"}')
_NO_TIME = format_time(0)
_BINDING = cloudevents.KAFKA


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
    """Opens what one source gives; `place` is its name, `kind` begins the types of its events."""

    def __init__(self, place: str, kind: str, clock: WallClock) -> None:
        self._place = place
        self._type = f"{kind}.message"
        self._clock = clock
        self._ids = IdSource(clock)

    def event(self, taken: Taken) -> Event:
        """Return the event of a message.

        One that has no id gets one that is derived from the source's own, where it has any: the
        same at every delivery. Its key is the message's, or else the topic or channel.

        Raises:
            CodecError: the bytes are no event, no JSON and no text.
        """
        message = taken.message
        value = message.value or b""
        ids: Ids = _One(f"{self._place}/{taken.id}") if taken.id else self._ids
        intake = Intake(self._clock, ids=ids, limits=LIMITS)
        headers = {name: text.decode(errors="replace") for name, text in message.headers}
        key = message.key.decode(errors="replace") or taken.topic_or_channel
        if f"{_BINDING.prefix}specversion" in {name.lower() for name in headers}:
            event = intake.binary(headers, value, binding=_BINDING)
        elif _envelope(value):
            event = intake.event(value)
        else:
            data, metadata = _payload(value)
            event = Event(
                id=ids.next(),
                type=self._type,
                time=format_time(self._clock.now_us()),
                key=key,
                data=data,
                metadata=metadata,
            )
        if event.key in ("", event.id):
            event = msgspec.structs.replace(event, key=key)
        return event


class _One:
    """The id of one message: the same at every delivery."""

    def __init__(self, name: str) -> None:
        self._name = name

    def next(self) -> str:
        return _derived.id(self._name, _NO_TIME, 0)


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
