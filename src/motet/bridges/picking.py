"""Which events a bridge copies, and what of them it changes: the key, and the mark."""

import msgspec

from motet.bridges.expressions import Key, Select, document
from motet.bridges.marks import Via
from motet.core.event import Event


class Counts(msgspec.Struct):
    """What a bridge did in this process; what it had to do again counts again."""

    copied: int = 0  # published, those among them that the target had already
    new: int = 0  # of these, new to the target
    unselected: int = 0  # left out by the expression
    returned: int = 0  # left out: they have been on the target before
    refused: int = 0  # dead letters: no event, an expression failed, or the target refused them


class Picker:
    """Selects, keys and marks events on their way from one place to another."""

    def __init__(
        self, via: Via, counts: Counts, *, select: Select | None = None, key: Key | None = None
    ) -> None:
        self._via = via
        self.counts = counts
        self._select = select
        self._key = key

    def copy(self, event: Event) -> Event | None:
        """Return the event for the other side; None: it is not to go there.

        Raises:
            HandlerError: an expression fails on it.
        """
        if self._via.been_there(event):
            self.counts.returned += 1
            return None
        if self._select is not None or self._key is not None:
            seen = document(event)
            if self._select is not None and not self._select.selects(seen):
                self.counts.unselected += 1
                return None
            if self._key is not None:
                event = self._key.of(seen, event)
        return self._via.mark(event)
