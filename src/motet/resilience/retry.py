"""When to try a failed event again, and when to stop."""

import msgspec

from motet.core.errors import CodecError, ConfigError, HandlerError

_OUTAGE_S = 2.0  # longest wait, before jitter, for a server that does not answer


class RetryPolicy(msgspec.Struct, frozen=True):
    """Exponential backoff with jitter. The defaults are the article's (section 9)."""

    tries: int = 5  # in all, the first included
    base_s: float = 1.0  # delay after the first failure, in seconds; doubled by each further one
    cap_s: float = 60.0  # longest delay before jitter
    jitter_s: float = 1.0  # up to this much is added, drawn evenly

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ConfigError(f"RetryPolicy.tries is {self.tries}: at least 1 try is needed")
        if self.base_s < 0 or self.cap_s < 0 or self.jitter_s < 0:
            raise ConfigError("RetryPolicy delays are in seconds and cannot be negative")

    def delay_s(self, attempt: int, *, random: float) -> float:
        """Return the wait after the failure of try number `attempt` (1-based).

        `min(cap, base * 2^(attempt - 1)) + random * jitter`, with `random` in [0, 1).
        """
        doublings = min(attempt - 1, 62)  # beyond that any base is over any cap
        return min(self.cap_s, self.base_s * 2.0**doublings) + random * self.jitter_s

    def outage_s(self, failures: int, *, random: float) -> float:
        """Return the wait before a server is asked again that has not answered `failures` times.

        That is `delay_s`, and at most 2 s before jitter: however long it was away, its return has
        to be noticed within seconds, and asking costs it next to nothing.
        """
        return min(_OUTAGE_S + random * self.jitter_s, self.delay_s(failures, random=random))

    def again(self, error: Exception, attempt: int) -> bool:
        """Whether try number `attempt`, which ended with `error`, is followed by another."""
        return attempt < self.tries and retryable(error)


def retryable(error: Exception) -> bool:
    """Whether the same event could work on a later try."""
    if isinstance(error, CodecError | ConfigError):
        return False
    return not (isinstance(error, HandlerError) and not error.retryable)
