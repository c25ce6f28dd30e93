"""Typed payloads: Structs by event type and version, and how old versions become new ones."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from motet.core.codec import encode, explain
from motet.core.errors import CodecError, ConfigError
from motet.core.event import Event
from motet.core.extras import encode_payload, keep_unknown, keeps_unknown

Upcaster = Callable[[dict[str, object]], dict[str, object]]
"""Makes the payload of one version into that of the next. Pure; may change its argument."""

PayloadDecoder = Callable[[Event], object]
"""Returns an event's payload.

Raises:
    CodecError: the payload is not what it should be, and will not be on a later try.
"""

_S = TypeVar("_S", bound=type[msgspec.Struct])
_TYPE, _VERSION = "__event_type__", "__event_version__"
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_any = msgspec.json.Decoder().decode


def event(type: str, *, version: int = 1) -> Callable[[_S], _S]:
    """Declare the event type and version whose payload a Struct is.

    Sets the class attributes `__event_type__` and `__event_version__`, nothing else;
    a subclass does not inherit the declaration.

    Raises:
        ConfigError: the type is empty, or the version below 1.
    """
    if not type:
        raise ConfigError("an event type is a name such as 'order.created', not ''")
    if version < 1:
        raise ConfigError(f"versions of {type!r} start at 1, not {version}")

    def declare(payload: _S) -> _S:
        setattr(payload, _TYPE, type)
        setattr(payload, _VERSION, version)
        return payload

    return declare


def declared(payload: object) -> tuple[str, int] | None:
    """Return event type and version that `@event` gave a Struct, or the Struct of an instance."""
    owner = payload if isinstance(payload, type) else payload.__class__
    attributes = vars(owner)
    return (attributes[_TYPE], attributes[_VERSION]) if _TYPE in attributes else None


class Schemas:
    """What a program knows about payloads. Fill it first; decoders see what is there when made."""

    def __init__(self) -> None:
        self._payloads: dict[tuple[str, int], type[msgspec.Struct]] = {}
        self._upcasters: dict[str, dict[int, Upcaster]] = {}

    def register(self, payload: type[msgspec.Struct]) -> None:
        """Add a Struct declared with `@event`. Idempotent.

        Raises:
            ConfigError: it is not declared, or another has its type and version.
        """
        key = declared(payload)
        if key is None:
            raise ConfigError(
                f"{payload.__qualname__} has no event type: put @event('...', version=1) above it"
            )
        other = self._payloads.setdefault(key, payload)
        if other is not payload:
            raise ConfigError(
                f"version {key[1]} of {key[0]!r} is both {other.__qualname__} and "
                f"{payload.__qualname__}: raise the version of one"
            )

    def upcast(self, event_type: str, from_version: int, lift: Upcaster) -> None:
        """Say how payloads of `from_version` become those of the next version.

        Raises:
            ConfigError: there is one already, or the version is below 1.
        """
        if from_version < 1:
            raise ConfigError(f"versions of {event_type!r} start at 1, not {from_version}")
        if from_version in self._upcasters.setdefault(event_type, {}):
            raise ConfigError(f"{event_type!r} has two upcasters from version {from_version}")
        self._upcasters[event_type][from_version] = lift

    def latest(self, event_type: str) -> int:
        """Return the newest version known: registered, or led to by an upcaster; at least 1."""
        registered = [version for type, version in self._payloads if type == event_type]
        lifted = [version + 1 for version in self._upcasters.get(event_type, ())]
        return max(registered + lifted, default=1)

    def decoder(self, annotation: object, event_type: str | None = None) -> PayloadDecoder:
        """Return a function that decodes payloads as `annotation`: a Struct, dict, list, ...

        A declared Struct is of the version declared, anything else of the latest known for
        `event_type`. An older event is lifted through every upcaster in between; a type
        without upcasters only ever added fields, so that old and new payloads are decoded
        as they are. A newer event is decoded as it is if it fits.

        Raises:
            ConfigError: upcasters are missing in between, or the annotation is no JSON type.
        """
        try:
            decoder = msgspec.json.Decoder(annotation)
        except (TypeError, ValueError, msgspec.MsgspecError) as err:
            raise ConfigError(f"a payload cannot be decoded as {annotation!r}: {err}") from err
        event_type, version = self._target(annotation, event_type or "")
        lifts = self._chain(event_type, version)
        decode = _keeping(decoder.decode) if keeps_unknown(annotation) else decoder.decode
        return _payload_decoder(decode, event_type, version, lifts)

    def _target(self, annotation: object, event_type: str) -> tuple[str, int]:
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
            key = declared(annotation)
            if key is not None:
                self.register(annotation)
                return key
        return event_type, self.latest(event_type)

    def _chain(self, event_type: str, version: int) -> dict[int, Upcaster]:
        lifts = {v: lift for v, lift in self._upcasters.get(event_type, {}).items() if v < version}
        gaps = [v for v in range(min(lifts, default=version), version) if v not in lifts]
        if gaps:
            raise ConfigError(
                f"{event_type!r} has no upcaster from version {gaps[0]} to {gaps[0] + 1}, "
                f"but one from {min(lifts)}: events in between could not be read"
            )
        return lifts


def _keeping(decode: Callable[[bytes | msgspec.Raw], object]) -> Callable[[msgspec.Raw], object]:
    def decode_open(text: msgspec.Raw) -> object:
        payload = decode(text)
        keep_unknown(payload, text)
        return payload

    return decode_open


def _payload_decoder(
    decode: Callable[[msgspec.Raw], object],
    event_type: str,
    version: int,
    lifts: dict[int, Upcaster],
) -> PayloadDecoder:
    def payload_of(event: Event) -> object:
        try:
            if event.schema_version >= version or not lifts or event.type != event_type:
                return decode(event.data)
            return decode(_lifted(event, version, lifts))
        except _UNDECODABLE as err:
            raise _unfit(err, event, version) from err

    return payload_of


def _lifted(event: Event, version: int, lifts: dict[int, Upcaster]) -> msgspec.Raw:
    """Return an old event's payload in today's form.

    It is encoded again, so that it is decoded exactly as an event of today would be.
    """
    if event.schema_version < min(lifts):
        raise _error(
            event,
            f"the oldest version that can be lifted to {version} is {min(lifts)}",
            "$.version",
        )
    payload = _any(event.data)
    for step in range(event.schema_version, version):
        if not isinstance(payload, dict):
            raise _error(event, f"only an object can be lifted to version {step + 1}")
        try:
            payload = lifts[step](payload)
        except Exception as err:  # the upcaster is the user's
            raise _error(
                event, f"the upcaster from version {step} failed: {type(err).__name__}: {err}"
            ) from err
    try:
        return encode_payload(payload)
    except (TypeError, OverflowError) as err:
        raise _error(event, f"the upcasters left no JSON: {err}") from err


def _unfit(err: Exception, event: Event, version: int) -> CodecError:
    found = explain(err, bytes(event.data), root="$.payload")
    message = str(found)
    if event.schema_version > version:
        message += f" (this program knows version {version}: deploy the one that knows more)"
    elif event.schema_version < version:
        message += f" (after lifting it to version {version})"
    return _error(event, message, found.where)


def _error(event: Event, message: str, where: str = "$.payload") -> CodecError:
    return CodecError(
        f"payload of {event.type!r} version {event.schema_version}: {message}",
        where=where,
        value=encode(event),
    )
