"""State as a lane sees it: what is committed, and what its own partition is about to commit."""

from collections.abc import Collection, Iterable, Mapping

from motet.core.outcome import Put
from motet.core.ports import StateReader, Versioned

_REMEMBERED = 10_000  # keys; a conflict on one that was forgotten shows at its commit


class PendingState:
    """Puts not yet committed, to be laid over the store's values.

    Records of one key are handled one after the other, but committed in groups; without this a
    record would not see what the one before it put. Lanes of different keys may share a
    state key: `follows` tells which of them read it before another wrote it. And a put may turn
    out not to fit: `rests` tells who had seen it.
    """

    def __init__(self, committed: StateReader) -> None:
        self.committed = committed
        self.puts: dict[str, Put] = {}  # the newest per key
        self._open: dict[str, int] = {}  # how many puts of a key are not committed
        self._writes = 0
        self._written: dict[str, int] = {}  # key -> number of its last write, oldest first
        self._dropped: dict[str, int] = {}  # key -> number of the write that took puts back

    def view(self) -> "View":
        """Return the state for one record to read."""
        return View(self, self._writes)

    def follows(self, view: "View", puts: Iterable[Put]) -> bool:
        """Whether no lane of this partition wrote these keys since the view was made."""
        return all(self._written.get(put.key, 0) <= view.since for put in puts)

    def rests(self, view: "View | None") -> bool:
        """Whether a view showed a put that has been dropped since."""
        if view is None or not self._dropped:
            return False
        return any(self._dropped.get(key, 0) > view.since for key in view.pending)

    def add(self, puts: Iterable[Put]) -> None:
        """Lay these over what is committed."""
        for put in puts:
            self.puts[put.key] = put
            self._open[put.key] = self._open.get(put.key, 0) + 1
            self._note(put.key)

    def done(self, puts: Iterable[Put]) -> None:
        """They can be read from the store now: lay them over it no longer."""
        for put in puts:
            self._open[put.key] -= 1
            if not self._open[put.key]:
                del self._open[put.key], self.puts[put.key]

    def drop(self, puts: Iterable[Put]) -> None:
        """They will not be committed; nor may what was made of them."""
        puts = list(puts)
        self.done(puts)
        for put in puts:
            self._note(put.key)
            self._dropped[put.key] = self._writes

    def _note(self, key: str) -> None:
        self._writes += 1
        self._written.pop(key, None)
        self._written[key] = self._writes
        if len(self._written) > _REMEMBERED:
            del self._written[next(iter(self._written))]


class View:
    """What one record reads; conforms to `ports.StateReader`, and remembers what was pending."""

    def __init__(self, state: PendingState, since: int) -> None:
        self.since = since  # writes before it was made
        self.pending: set[str] = set()  # keys of which it showed what was not committed
        self._state = state

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Versioned]:
        """Values by key; missing keys are missing from the answer."""
        puts = self._state.puts
        # What is committed while we ask is no longer pending, and not yet in the answer.
        before = {key: puts[key] for key in keys if key in puts}
        found = dict(await self._state.committed.get_many(keys))
        for key in keys:
            put = puts.get(key) or before.get(key)
            if put is None:
                continue
            self.pending.add(key)
            if key not in puts and key in found and found[key].version > put.expected:
                continue  # the answer has it, or what came after it
            if put.value is None:
                found.pop(key, None)
            else:
                found[key] = Versioned(put.value, put.expected + 1)
        return found
