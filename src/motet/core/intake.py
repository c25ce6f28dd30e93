"""The strict way in for events from outside: HTTP bodies, files, other programs.

What comes in is the article's JSON or CloudEvents, one event or many; what goes on is an `Event`
that `codec` can encode, decode and hand to anyone, or a `CodecError` that says what is wrong where.
White space between tokens is dropped, every token is kept as it was written.

Members of the article's envelope that it does not know are moved into `metadata`, so that nothing
is lost on the way to a reader that does. If `metadata` has that name already with another value
the event is refused: one of the two would be lost.
"""

import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from motet.core import cloudevents, documents
from motet.core.codec import explain
from motet.core.documents import Document
from motet.core.envelope import WIRE, Limits, Rules, Unchecked
from motet.core.errors import CodecError
from motet.core.event import ABSENT, Event
from motet.core.ids import Ids
from motet.core.ports import WallClock

_KNOWN = frozenset(WIRE.values())
_unchecked = msgspec.json.Decoder(Unchecked).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode

_LINES = re.compile(r"application/(x-)?(ndjson|jsonl|jsonlines|json-lines)")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)

_Reader = Callable[[Document, Rules], Event]


class Refusal(msgspec.Struct, frozen=True):
    """An item of a batch that is no event; `error.value` are its bytes."""

    index: int  # 0-based place in the batch; line number - 1 in JSON lines; -1: the whole body
    error: CodecError


class Taken(msgspec.Struct, frozen=True):
    """What a body held. The caller decides whether one refusal refuses them all."""

    events: tuple[Event, ...] = ()  # in the order they came
    refusals: tuple[Refusal, ...] = ()  # by index


class Intake:
    """Reads events from outside. Holds no connection and no state but the source of ids."""

    def __init__(
        self, clock: WallClock, *, ids: Ids | None = None, limits: Limits | None = None
    ) -> None:
        self._rules = Rules(clock, ids=ids, limits=limits)

    def event(self, value: bytes) -> Event:
        """Return one event: the article's JSON, or a CloudEvent in structured mode.

        Raises:
            CodecError: it is neither; `where` is a JSON path or a byte position.
        """
        return self._read(value, _from_either)

    def events(self, body: bytes) -> Taken:
        """Return the events of a JSON array, or of a body that is one event."""
        return self._read_all(body, _from_either)

    def lines(self, body: bytes) -> Taken:
        """Return the events of JSON lines; empty lines are passed over, and counted."""
        lines = enumerate(body.split(b"\n"))
        return _take(((index, line) for index, line in lines if line.strip()), self.event)

    def request(self, headers: Mapping[str, str], body: bytes) -> Taken:
        """Return the events of an HTTP request, as its headers say.

        `ce-` headers: one CloudEvent in binary mode. `application/cloudevents+json`, or its
        batch: CloudEvents. JSON, or nothing said: either kind, one or an array. JSON lines:
        either kind, one a line.
        """
        lowered = {name.lower(): text for name, text in headers.items()}
        content_type = lowered.get("content-type", "")
        media_type = content_type.partition(";")[0].strip().lower()
        structured = media_type in (cloudevents.STRUCTURED, cloudevents.BATCHED)
        if "ce-specversion" in lowered and not structured:
            return _take(((0, body),), lambda value: self.binary(headers, value))
        charset = _CHARSET.search(content_type)
        if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
            return _refused(body, f"the charset is {charset[1]!r}: send UTF-8")
        if structured:
            return self._read_all(body, cloudevents.from_document)
        if _LINES.fullmatch(media_type):
            return self.lines(body)
        if not media_type or cloudevents.is_json(media_type):
            return self.events(body)
        return _refused(
            body,
            f"the content type is {media_type!r}: send application/json, application/x-ndjson, "
            "application/cloudevents+json or application/cloudevents-batch+json",
        )

    def binary(
        self,
        headers: Mapping[str, str],
        body: bytes,
        *,
        binding: cloudevents.Binding = cloudevents.HTTP,
    ) -> Event:
        """Return a CloudEvent in binary mode: attributes in headers, data in the body.

        Raises:
            CodecError: it is none; `where` names the header or the place in the data.
        """
        try:
            self._rules.size(body)
            return cloudevents.from_binary(headers, body, self._rules, binding=binding)
        except CodecError as err:
            err.value = body
            raise

    def _read(self, value: bytes, read: _Reader) -> Event:
        try:
            self._rules.size(value)
            document = documents.parse(value, depth=self._rules.limits.depth)
            return read(document, self._rules)
        except CodecError as err:
            err.value = value
            raise

    def _read_all(self, body: bytes, read: _Reader) -> Taken:
        if body.lstrip()[:1] != b"[":
            return _take(((0, body),), lambda value: self._read(value, read))
        try:
            items = _items(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as err:
            return Taken(refusals=(Refusal(-1, explain(err, body)),))
        values = ((index, bytes(item)) for index, item in enumerate(items))
        return _take(values, lambda value: self._read(value, read))


def _take(items: Iterable[tuple[int, bytes]], read: Callable[[bytes], Event]) -> Taken:
    events: list[Event] = []
    refusals: list[Refusal] = []
    for index, value in items:
        try:
            events.append(read(value))
        except CodecError as err:
            refusals.append(Refusal(index, err))
    return Taken(tuple(events), tuple(refusals))


def _refused(body: bytes, message: str) -> Taken:
    error = CodecError(message, where="header content-type", value=body)
    return Taken(refusals=(Refusal(-1, error),))


def _from_either(document: Document, rules: Rules) -> Event:
    if isinstance(document.value, dict) and "specversion" in document.value:
        return cloudevents.from_document(document, rules)
    return _from_article(document, rules)


def _from_article(document: Document, rules: Rules) -> Event:
    found = document.value
    if not isinstance(found, dict):
        raise CodecError(f"an event is a JSON object, not {_kind(found)}", where="$")
    try:
        given = _unchecked(document.text)
    except msgspec.ValidationError as err:
        raise explain(err, document.text) from err
    for name in ("metadata", "references"):
        if name in found:
            given = _object_or_absent(given, name, found[name])
    if not found.keys() <= _KNOWN:
        given = _with_unknown(given, document.text)
    return rules.event(given, found.get("payload"))


def _object_or_absent(given: Unchecked, name: str, value: object) -> Unchecked:
    if value is None:
        return msgspec.structs.replace(given, **{name: ABSENT})
    if not isinstance(value, dict):
        raise CodecError(f"expected an object, found {_kind(value)}", where=f"$.{name}")
    return given


def _with_unknown(given: Unchecked, text: bytes) -> Unchecked:
    metadata = {} if given.metadata is ABSENT else _members(given.metadata)
    for name, value in _members(text).items():
        if name not in _KNOWN and metadata.setdefault(name, value) != value:
            raise CodecError(
                "it is not in the envelope, and metadata has that name with another value",
                where=f"${documents.step(name)}",
            )
    return msgspec.structs.replace(given, metadata=msgspec.Raw(msgspec.json.encode(metadata)))


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "a number"
