"""What every event from outside must have, whichever format it came in, and what is filled in."""

import re
from collections.abc import Mapping
from operator import attrgetter, le

import msgspec

from motet.core.clock import format_time, parse_time
from motet.core.documents import DEPTH
from motet.core.errors import CodecError
from motet.core.event import ABSENT, NULL, Event
from motet.core.ids import Ids, IdSource
from motet.core.ports import WallClock

WIRE: Mapping[str, str] = dict(
    zip(Event.__struct_fields__, Event.__struct_encode_fields__, strict=True)
)
"""Wire name by attribute of `Event`."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
TEXTS = ("id", "type", "key", "source", "schema", "correlation_id", "causation_id")
_texts = attrgetter(*TEXTS)
_MAX_VERSION = 2**31 - 1


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How large an event from outside may be. Lengths are in characters (code points)."""

    event_bytes: int = 1 << 20  # one event, as it came
    depth: int = DEPTH  # arrays and objects inside one another
    id_chars: int = 255  # eventId, correlationId, causationId
    type_chars: int = 255
    key_chars: int = 255  # key, and payload.sessionId where it stands in for it
    uri_chars: int = 2048  # source, schema


class Unchecked(msgspec.Struct, frozen=True, kw_only=True, rename=WIRE):
    """An event as it came, not yet checked: what may be left out may be null as well."""

    id: str | None = None
    type: str | None = None
    time: str | None = None
    key: str | None = None
    source: str | None = None
    schema_version: int | None = None
    schema: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    data: msgspec.Raw = NULL
    metadata: msgspec.Raw = ABSENT
    references: msgspec.Raw = ABSENT


class Rules:
    """Turns what came into events: checks what was given, fills in what was not.

    An id is made, the time is now, and the key is `payload.sessionId` or else the id.
    """

    def __init__(
        self, clock: WallClock, *, ids: Ids | None = None, limits: Limits | None = None
    ) -> None:
        self.limits = limits if limits is not None else Limits()
        self._clock = clock
        self._ids = ids if ids is not None else IdSource(clock)
        most = self.limits
        self._most_chars = (
            most.id_chars,
            most.type_chars,
            most.key_chars,
            most.uri_chars,
            most.uri_chars,
            most.id_chars,
            most.id_chars,
        )

    def size(self, value: bytes) -> None:
        """Check how long one event is.

        Raises:
            CodecError: longer than the limit.
        """
        if len(value) > self.limits.event_bytes:
            raise CodecError(
                f"an event of {len(value)} bytes; at most {self.limits.event_bytes}",
                where=f"byte {self.limits.event_bytes}",
                value=value,
            )

    def event(self, given: Unchecked, payload: object, names: Mapping[str, str] = WIRE) -> Event:
        """Return the event that `given` stands for. `payload` is what `given.data` means.

        `names` are the attributes' names in the format it came in, for error messages.

        Raises:
            CodecError: something required is missing, or something given breaks a rule.
        """
        if not given.type:
            raise CodecError("it is required and missing", where=f"$.{names['type']}")
        id = given.id if given.id is not None else self._ids.next()
        version = given.schema_version if given.schema_version is not None else 1
        if not 1 <= version <= _MAX_VERSION:
            raise CodecError(
                f"a version is from 1 to {_MAX_VERSION}, not {version}",
                where=f"$.{names['schema_version']}",
            )
        event = Event(
            id=id,
            type=given.type,
            time=self._time(given.time, names),
            key=given.key or _session(payload) or id,
            source=given.source or "",
            schema_version=version,
            schema=given.schema or "",
            correlation_id=given.correlation_id or "",
            causation_id=given.causation_id or "",
            data=given.data,
            metadata=given.metadata,
            references=given.references,
        )
        self._check_texts(event, given, names)
        return event

    def _time(self, text: str | None, names: Mapping[str, str]) -> str:
        if text is None:
            return format_time(self._clock.now_us())
        try:
            time_us = parse_time(text)
        except CodecError as err:
            raise CodecError(str(err), where=f"$.{names['time']}") from err
        return text if text[10] == "T" and text[-1] == "Z" else format_time(time_us)

    def _check_texts(self, event: Event, given: Unchecked, names: Mapping[str, str]) -> None:
        texts = _texts(event)
        if (
            all(map(le, map(len, texts), self._most_chars))
            and not CONTROL.search("".join(texts))
            and not event.type.isspace()
            and event.id.strip()
        ):
            return
        for attribute, text, chars in zip(TEXTS, texts, self._most_chars, strict=True):
            where = f"$.{names[attribute]}"
            if attribute == "key" and not given.key:
                where = f"$.{names['data']}.sessionId"
            _check_text(text, chars, where, required=attribute in ("id", "type"))


def _check_text(text: str, chars: int, where: str, *, required: bool) -> None:
    if required and (not text or text.isspace()):
        raise CodecError("it is empty; give one or leave it out", where=where)
    if len(text) > chars:
        raise CodecError(f"{len(text)} characters; at most {chars}", where=where)
    if found := CONTROL.search(text):
        raise CodecError(f"a control character, U+{ord(found[0]):04X}", where=where)


def _session(payload: object) -> str:
    if isinstance(payload, dict):
        session = payload.get("sessionId")
        if isinstance(session, str):
            return session
    return ""
