"""How many events wait in each topic, known well enough to refuse more in time."""

from collections import Counter

from motet.core.errors import TransientError
from motet.core.ports import Clock, Store, Transport
from motet.telemetry import Readers, bind, depths, lags

_SHORTEST_S = 0.25  # between two looks
_SHARE = 20  # a look may take one part in so many of the time

_log = bind(__name__)


class Backlog:
    """Events appended but not done by the slowest group of their topic, as an estimate.

    The log and the groups' progress are looked at now and then; in between, what this
    process appends is added and what groups finish is not yet taken off, so the
    estimate errs on the high side until the next look.
    """

    def __init__(
        self, transport: Transport, store: Store, clock: Clock, *, readers: Readers
    ) -> None:
        self._transport = transport
        self._store = store
        self._clock = clock
        self._readers = readers
        self._seen: Counter[str] = Counter()
        self._appended: Counter[str] = Counter()
        self._next_s = clock.monotonic_s()
        self._looking = False

    @property
    def topics(self) -> int:
        """Number of topics, as last seen."""
        return len(self._seen)

    def knows(self, topic: str) -> bool:
        """Whether the topic was there at the last look, or was appended to since."""
        return topic in self._seen

    def of(self, topic: str) -> int:
        """Return the estimate for a topic."""
        return self._seen[topic] + self._appended[topic]

    def appended(self, topic: str, count: int) -> None:
        """Events of this process became durable."""
        self._appended[topic] += count
        self._seen.setdefault(topic, 0)

    async def refresh(self) -> None:
        """Look again if the last look is too old and nobody else is looking."""
        began_s = self._clock.monotonic_s()
        if self._looking or began_s < self._next_s:
            return
        self._looking = True
        try:
            await self._look()
        except TransientError as err:
            # The last estimate stands; whether the log takes events, the append will tell.
            _log.warning("backlog.unavailable", extra={"error": str(err)})
        finally:
            now_s = self._clock.monotonic_s()
            self._next_s = now_s + max(_SHORTEST_S, _SHARE * (now_s - began_s))
            self._looking = False

    async def _look(self) -> None:
        # What becomes durable during the look is counted in it or not; counting it in any case
        # is the safe side.
        before, self._appended = self._appended, Counter()
        self._seen.update(before)  # adds up, and keeps the zeros
        topics = await self._transport.topics()
        found = lags(topics, await self._store.groups(), self._readers)
        self._seen = Counter(depths(topics, found, self._readers))
