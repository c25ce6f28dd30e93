"""Where an event has been: what keeps two bridges from sending it round for ever."""

from functools import lru_cache

import msgspec

from motet.core.event import ABSENT, Event

EXTENSION = "bridgedvia"
"""Member of `metadata`, and so an extension attribute of the CloudEvent: the names of the
transports that the event was copied from, by comma, the first one first."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class Via:
    """Reads and writes the mark of a bridge from `here` to `there`."""

    def __init__(self, here: str, there: str) -> None:
        self._here = here
        self._there = there
        self._alone = msgspec.Raw(_encode({EXTENSION: here}))
        self._marked = lru_cache(maxsize=1024)(self._mark)

    def been_there(self, event: Event) -> bool:
        """Whether the event came from `there`, on whatever way."""
        return event.metadata is not ABSENT and self._there in been(event)

    def mark(self, event: Event) -> Event:
        """Return the event with `here` among the places that it has been."""
        given = event.metadata
        metadata = self._alone if given is ABSENT else self._marked(bytes(given))
        return msgspec.structs.replace(event, metadata=metadata)

    def _mark(self, metadata: bytes) -> msgspec.Raw:
        members = _members(metadata)
        places = _places(members)
        if self._here in places:
            return msgspec.Raw(metadata)
        members[EXTENSION] = msgspec.Raw(_encode(",".join((*places, self._here))))
        return msgspec.Raw(_encode(members))


def been(event: Event) -> tuple[str, ...]:
    """Return the names of the transports that the event was copied from, in order."""
    if event.metadata is ABSENT or EXTENSION.encode() not in bytes(event.metadata):
        return ()
    return _places(_members(event.metadata))


def _places(members: dict[str, msgspec.Raw]) -> tuple[str, ...]:
    given = members.get(EXTENSION)
    if given is None:
        return ()
    try:
        return tuple(name for name in _text(given).split(",") if name)
    except msgspec.ValidationError:
        return ()  # somebody else's member of that name
