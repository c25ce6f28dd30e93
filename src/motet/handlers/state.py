"""State as a handler sees it: read ahead for a whole batch, written when the batch commits."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from motet.core.errors import HandlerError
from motet.core.extras import UNENCODABLE, encode_payload, keep_unknown, keeps_unknown
from motet.core.outcome import Put
from motet.core.ports import Versioned

T = TypeVar("T")


_decoders: dict[object, Callable[[bytes], object]] = {}  # one per type that a handler names


def _decoder(type: object) -> Callable[[bytes], object]:
    decode = msgspec.json.Decoder(type).decode

    def decode_open(text: bytes) -> object:
        value = decode(text)
        keep_unknown(value, text)
        return value

    return _decoders.setdefault(type, decode_open if keeps_unknown(type) else decode)


class Overlay:
    """Committed values, and over them what the batch in hand has put so far."""

    def __init__(self, committed: Mapping[str, Versioned]) -> None:
        self._committed = committed
        self._over: dict[str, bytes | None] = {}

    def value(self, key: str) -> bytes | None:
        """The newest value; None when there is none."""
        if key in self._over:
            return self._over[key]
        found = self._committed.get(key)
        return None if found is None else found.value

    def apply(self, pending: Mapping[str, bytes | None]) -> None:
        """Keep what one record's handlers put; None removes."""
        self._over.update(pending)

    def puts(self) -> tuple[Put, ...]:
        """One put per key that was written, expecting the version that was read."""
        puts = []
        for key, value in self._over.items():
            found = self._committed.get(key)
            version = 0 if found is None else found.version
            if value is not None or version:  # made and removed in one batch: nothing to do
                puts.append(Put(key, value, version))
        return tuple(puts)


class State(msgspec.Struct, frozen=True, gc=False):
    """Values by key, kept with the consumer group's progress and shared by its handlers.

    A handler may touch the keys it declared with `state=`, or its event's key. It sees what
    earlier records put, and what it puts is committed with its other effects or not at all.
    Values are stored as JSON; what `get` returns is the caller's own to change.
    """

    _overlay: Overlay
    _keys: tuple[str, ...]
    _pending: dict[str, bytes | None]

    def get(self, type: type[T], key: str | None = None) -> T | None:
        """Return the value as `type`, or None when there is none.

        Raises:
            HandlerError: the key was not declared, or the value is no `type`.
        """
        if key is None or key not in self._keys:
            key = self._key(key)
        value = self._pending[key] if key in self._pending else self._overlay.value(key)
        if value is None:
            return None
        try:
            decode = _decoders.get(type) or _decoder(type)
            return decode(value)  # type: ignore[return-value]  # a decoder of `type`
        except msgspec.DecodeError as err:
            raise HandlerError(
                f"state {key!r} is no {getattr(type, '__name__', type)}: {err}", retryable=False
            ) from err

    def put(self, value: object, key: str | None = None) -> None:
        """Set the value.

        Raises:
            HandlerError: the key was not declared, or the value is None or no JSON.
        """
        if key is None or key not in self._keys:
            key = self._key(key)
        if value is None:
            raise HandlerError(f"state {key!r}: None cannot be put; use delete", retryable=False)
        try:
            self._pending[key] = bytes(encode_payload(value))
        except UNENCODABLE as err:
            raise HandlerError(f"state {key!r} cannot be JSON: {err}", retryable=False) from err

    def delete(self, key: str | None = None) -> None:
        """Remove the value; nothing happens when there is none.

        Raises:
            HandlerError: the key was not declared.
        """
        self._pending[self._key(key)] = None

    def _key(self, key: str | None) -> str:
        keys = self._keys
        if key is None and len(keys) == 1:
            return keys[0]
        if key is not None and key in keys:
            return key
        if key is None:
            problem = f"state has {len(keys)} keys here: name the one that is meant"
        else:
            known = ", ".join(map(repr, keys[:5])) or "no key"
            problem = f"state {key!r} was not read ahead: state= gave {known}"
        raise HandlerError(problem, retryable=False)
