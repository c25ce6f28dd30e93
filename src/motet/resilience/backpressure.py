"""How much work may be under way at once, from how long it takes (the article, section 11)."""

from motet.core.errors import ConfigError

_WINDOW = 100  # completions looked at together
_SLOW = 1.5  # times the target: from here on the limit shrinks
_SHRINK = 0.7
_HELPS = 0.9  # a shrunk limit has to bring latency down to this share of what it was
_FADE = 0.99  # per window: what was learnt is doubted again after a while


class BackPressure:
    """A limit on work in flight that follows latency.

    Completions are looked at in windows of 100, or of the limit if that is less. A window whose
    average is above 1.5 times the target shrinks the limit by 30 %. If the next window is not
    at least 10 % faster, less work at once was no cure: the limit goes back, and what was
    measured counts as the target until it fades (a model that takes 5 s takes 5 s). At or below
    the target, a limit that was reached grows by one for every completion. It stays within
    [1, `max_in_flight`]; with the article's fixed pause nothing would ever complete again once
    all of the history is slow.
    """

    def __init__(self, *, max_in_flight: int = 100, target_latency_s: float = 1.0) -> None:
        if max_in_flight < 1 or target_latency_s <= 0:
            raise ConfigError(
                f"BackPressure needs positive figures, got max_in_flight={max_in_flight} "
                f"and target_latency_s={target_latency_s}"
            )
        self.max_in_flight = max_in_flight
        self.target_latency_s = target_latency_s
        self.limit = max_in_flight
        self.in_flight = 0
        self._total_s = 0.0
        self._count = 0
        self._reached = False
        self._learnt_s = 0.0  # a latency that less work at once does not better
        self._tried: tuple[int, float] | None = None  # limit and average before a shrink

    def admit(self) -> bool:
        """Take a place if there is one; each place taken is given back by `done`."""
        if self.in_flight >= self.limit:
            self._reached = True
            return False
        self.in_flight += 1
        return True

    def done(self, latency_s: float) -> None:
        """Give a place back and learn how long the work took, in seconds."""
        self.in_flight -= 1
        self._total_s += latency_s
        self._count += 1
        if self._count >= min(_WINDOW, self.limit):
            self._look(self._total_s / self._count)
            self._total_s, self._count = 0.0, 0
        elif self._reached and self._tried is None and latency_s <= self._target_s:
            self._grow()

    def withdraw(self) -> None:
        """Give a place back unused."""
        self.in_flight -= 1

    @property
    def _target_s(self) -> float:
        return max(self.target_latency_s, self._learnt_s)

    def _look(self, average_s: float) -> None:
        tried, self._tried = self._tried, None
        if tried is not None and average_s > _HELPS * tried[1]:
            self.limit, self._learnt_s = tried[0], average_s
            return
        if average_s > _SLOW * self._target_s:
            self._tried = (self.limit, average_s)
            self.limit = max(1, int(self.limit * _SHRINK))
        elif self._reached and average_s <= self._target_s:
            self._grow()
        self._learnt_s *= _FADE

    def _grow(self) -> None:
        self.limit = min(self.max_in_flight, self.limit + 1)
        self._reached = False
