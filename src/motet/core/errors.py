"""Every error of Motet, sorted by what the caller should do about it.

```
MotetError
├── ConfigError            the program is wrong; never retried
├── CodecError             these bytes will never decode; straight to the dead letters
├── ConcurrencyError       somebody else got there first; reload and try again
│   ├── WrongVersion         a stream or a value is not at the version expected
│   └── Fenced               progress moved: another worker did this batch
├── TransientError         the outside world failed for now; retry with backoff
│   ├── Unavailable          a broker, database or model did not answer
│   ├── BacklogFull          too much waits already; try again later
│   └── BreakerOpen          not even tried
└── HandlerError           user code failed; `__cause__` says how
```
"""


class MotetError(Exception):
    """The root: anything Motet raises on purpose."""


class ConfigError(MotetError):
    """The program or its settings are wrong; trying again changes nothing."""


class CodecError(MotetError):
    """Bytes that are not the event they should be, now and on every later try.

    `where` is a JSON path (`$.payload.total`) or a byte position (`byte 17`);
    empty when the whole value is meant. `value` is the bytes as they came.
    """

    where: str = ""  # of the class, for a subclass whose __init__ does not call this one
    value: bytes = b""

    def __init__(self, message: str, *, where: str = "", value: bytes = b"") -> None:
        super().__init__(message)
        self.where = where
        self.value = value


class ConcurrencyError(MotetError):
    """Somebody else got there first; reload and try again."""


class WrongVersion(ConcurrencyError):
    """A stream or a state value is not at the version the outcome expected."""

    def __init__(self, name: str, *, expected: int | None, found: int) -> None:
        super().__init__(
            f"{name!r} is at version {found}, expected {expected}: reload and try again"
        )
        self.name = name
        self.expected = expected
        self.found = found


class Fenced(ConcurrencyError):
    """Progress moved since it was read: another worker holds the partition now."""


class TransientError(MotetError):
    """The outside world failed for now; the same call may work later."""


class Unavailable(TransientError):
    """A broker, database or model did not answer, or refused for now."""


class BacklogFull(TransientError):
    """More waits than the limit allows; nothing was taken. Try again after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BreakerOpen(TransientError):
    """A circuit breaker is open: the call was not even tried."""


class HandlerError(MotetError):
    """User code failed; `__cause__` is what it raised.

    A handler may raise it itself with `retryable=False`: the event then goes to
    the dead letters at once.
    """

    code: str = ""  # of the class, for a subclass whose __init__ does not call this one
    retryable: bool = True

    def __init__(self, message: str, *, code: str = "", retryable: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
