"""What a handler returned, turned into events with ids, times and causes."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from motet.core.clock import format_time
from motet.core.errors import HandlerError
from motet.core.event import ABSENT, Event
from motet.core.extras import UNENCODABLE, encode_payload
from motet.core.ids import Derived
from motet.core.outcome import Append, Emit, Outcome
from motet.core.schemas import declared
from motet.handlers.checks import (
    ID_CHARS,
    KEY_CHARS,
    LATEST_US,
    NAME_CHARS,
    PLACE_CHARS,
    checked,
    fits,
    instant,
    refused,
    text,
)
from motet.handlers.drafts import Draft

Reply = Callable[[object, Event], object]

_UNNAMED = ("", 1)
_MANY = (list, tuple)
_NAMES = 4096  # topics and types remembered: a handler may make them up as it goes


class Effects:
    """What the records of one batch lead to, in order; a failed record's part is cut off again."""

    __slots__ = ("appends", "emits", "now_text", "now_us")

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us
        self.now_text = format_time(now_us)
        self.emits: list[Emit] = []
        self.appends: list[Append] = []

    def cut(self, emitted: int, appended: int) -> None:
        """Forget all but the first so many of each."""
        del self.emits[emitted:]
        del self.appends[appended:]


class Stamper:
    """Collects the results of one handler.

    Ids are derived from the source event, group, handler and the ordinal among the handler's
    drafts for that event: the same at every try, and however records are cut into batches.
    """

    def __init__(
        self,
        *,
        app: str,
        group: str,
        name: str,
        to: str,
        reply: Reply | None,
        stateless: bool = False,
    ) -> None:
        self._name = name
        self._stateless = stateless
        self._to = to
        self._reply = reply
        self._source = f"/{app}/{name}"
        self._derive = Derived(f"{group}/{name}").id
        self._declared: dict[type, tuple[str, int]] = {}  # per class that was emitted
        self._names: dict[object, str] = {}  # topics and types that were found good
        self._payloads: set[type] = set()  # classes that were returned, and are payloads for `to`

    def collect(self, result: object, event: Event, effects: Effects) -> None:
        """Add what a handler returned for `event`.

        Raises:
            HandlerError: it is nothing a handler may return; trying again changes nothing.
        """
        if self._reply is not None:
            result = self._reply(result, event)
        if type(result) in self._payloads:
            result = Draft(self._to, result)
        if type(result) is Draft:
            effects.emits.append(self._stamp(result, event, 0, effects))
        else:
            self._take(result, event, 0, effects)

    def _take(self, result: object, event: Event, ordinal: int, effects: Effects) -> int:
        """Add one result, or all of a list, and return the next ordinal."""
        if isinstance(result, Draft):
            effects.emits.append(self._stamp(result, event, ordinal, effects))
            return ordinal + 1
        if isinstance(result, _MANY):
            for part in result:
                ordinal = self._take(part, event, ordinal, effects)
        elif isinstance(result, msgspec.Struct):
            return self._struct(result, event, ordinal, effects)
        elif result is not None:
            if not isinstance(result, Iterator):
                raise self._unknown(type(result))
            return self._take(list(result), event, ordinal, effects)
        return ordinal

    def _struct(self, result: msgspec.Struct, event: Event, ordinal: int, effects: Effects) -> int:
        if isinstance(result, Emit):
            effects.emits.append(self._emit(result, event))
        elif isinstance(result, Outcome):
            self._outcome(result, event, effects)
        elif self._to:
            draft = Draft(self._to, result)
            effects.emits.append(self._stamp(draft, event, ordinal, effects))
            self._payloads.add(type(result))
            return ordinal + 1
        else:
            raise self._unknown(type(result))
        return ordinal

    def _stamp(self, draft: Draft, event: Event, ordinal: int, effects: Effects) -> Emit:
        data = draft.data
        own_type, version = self._declared.get(type(data)) or self._look_up(type(data))
        kind = draft.type or own_type
        due_us = self._due_us(draft, effects.now_us) if draft.delay_s or draft.at_us else 0
        if not kind:
            return self._as_it_is(draft, due_us, event)
        try:
            topic = self._names.get(draft.topic) or self._named(draft.topic, "a topic")
            kind = self._names.get(kind) or self._named(kind, "an event type")
        except TypeError as err:
            raise refused(self._name, f"a topic or an event type is no text: {err}") from err
        key, id = draft.key, draft.id
        if key is None:
            key = event.key
        elif not fits(key, KEY_CHARS):
            key = text(key, "a key", who=self._name, chars=KEY_CHARS)
        if id:
            id = text(id, "an event id", who=self._name, chars=ID_CHARS, required=True)
        try:
            encoded = data if data is event.data else encode_payload(data)
            metadata = ABSENT if draft.metadata is None else self._metadata(draft.metadata)
        except UNENCODABLE as err:
            raise HandlerError(
                f"handler {self._name!r} emits {kind!r} with data that cannot be JSON: {err}",
                retryable=False,
            ) from err
        return Emit(
            topic,
            Event(
                id=id or self._derive(event.id, event.time, ordinal),
                type=kind,
                time=effects.now_text,
                key=key,
                source=self._source,
                schema_version=version,
                correlation_id=event.correlation_id or event.id,
                causation_id=event.id,
                data=encoded,
                metadata=metadata,
            ),
            due_us,
        )

    def _named(self, name: object, field: str) -> str:
        plain = text(name, field, who=self._name, chars=NAME_CHARS, required=True)
        if len(self._names) >= _NAMES:
            self._names.clear()
        self._names[plain] = plain
        return plain

    def _due_us(self, draft: Draft, now_us: int) -> int:
        if not draft.delay_s:
            return instant(draft.at_us, "at_us", who=self._name)
        delay_s: object = draft.delay_s
        if not isinstance(delay_s, int | float):
            raise refused(self._name, f"delay_s is a {type(delay_s).__name__}, not a number")
        if not 0.0 <= delay_s <= (LATEST_US - now_us) / 1e6:  # NaN is not either
            raise refused(self._name, f"delay_s is {delay_s}, out of range")
        return now_us + round(delay_s * 1e6)

    def _metadata(self, metadata: object) -> msgspec.Raw:
        if not isinstance(metadata, Mapping):
            raise refused(self._name, f"metadata is a {type(metadata).__name__}, not a mapping")
        return encode_payload(dict(metadata))

    def _topic(self, topic: object) -> str:
        known = self._names.get(topic) if type(topic) is str else None
        return known or self._named(topic, "a topic")

    def _emit(self, emit: object, event: Event) -> Emit:
        if not isinstance(emit, Emit):
            raise refused(self._name, f"a {type(emit).__name__} where an Emit is wanted")
        return Emit(
            self._topic(emit.topic),
            checked(emit.event, event, who=self._name),
            instant(emit.not_before_us, "not_before_us", who=self._name),
        )

    def _append(self, append: object, event: Event) -> Append:
        if not isinstance(append, Append):
            raise refused(self._name, f"a {type(append).__name__} where an Append is wanted")
        expected: object = append.expected
        if expected is not None and (type(expected) is not int or not 0 <= expected <= LATEST_US):
            raise refused(self._name, "an Append's expected is no version: None, or 0 and up")
        return Append(
            text(append.stream, "a stream", who=self._name, chars=PLACE_CHARS, required=True),
            tuple(
                checked(each, event, who=self._name)
                for each in self._several(append.events, "an Append's events")
            ),
            append.expected,
        )

    def _several(self, values: object, field: str) -> Iterable[object]:
        if not isinstance(values, _MANY):
            raise refused(self._name, f"{field} is a {type(values).__name__}, not a tuple")
        return values

    def _as_it_is(self, draft: Draft, due_us: int, event: Event) -> Emit:
        if isinstance(draft.data, Event):
            passed = checked(draft.data, event, who=self._name)
            return Emit(self._topic(draft.topic), passed, due_us)
        raise HandlerError(
            f"handler {self._name!r} emits a {type(draft.data).__name__} to {draft.topic!r} "
            "without an event type: give type=, or put @event(...) on the class",
            retryable=False,
        )

    def _look_up(self, kind: type) -> tuple[str, int]:
        return self._declared.setdefault(kind, declared(kind) or _UNNAMED)

    def _outcome(self, outcome: Outcome, event: Event, effects: Effects) -> None:
        if outcome.puts or outcome.failures:
            raise HandlerError(
                f"handler {self._name!r} returned an Outcome with puts or failures: "
                "take a State parameter to put, and raise to fail",
                retryable=False,
            )
        if outcome.appends and self._stateless:
            raise HandlerError(
                f"handler {self._name!r} returned an Outcome with appends, which "
                "delivery='transport' cannot commit with its progress: declare it with "
                "delivery='store'",
                retryable=False,
            )
        for emit in self._several(outcome.emits, "an Outcome's emits"):
            effects.emits.append(self._emit(emit, event))
        for append in self._several(outcome.appends, "an Outcome's appends"):
            effects.appends.append(self._append(append, event))

    def _unknown(self, kind: type) -> HandlerError:
        if issubclass(kind, msgspec.Struct):
            hint = "to= names no topic for it"
        else:
            hint = "allowed are None, emit(...), an event, an Outcome, or a list of these"
        return HandlerError(
            f"handler {self._name!r} returned a {kind.__name__}: {hint}", retryable=False
        )
