"""Events that come with time: when the next one is due, and what it is."""

from datetime import UTC, datetime, timedelta

import msgspec

from motet.core.clock import format_time
from motet.core.errors import ConfigError
from motet.core.event import NULL, Event
from motet.core.ids import Derived

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """An event at every tick. Pure: the runtime asks what is next, and publishes it then.

    Ticks lie on the clock's face, not at distances from the program's start: an interval of
    60 s ticks at every full minute, UTC. Every process that runs the schedule makes the same
    event for a tick, so a log that keeps an id once has it once.
    """

    name: str  # part of the events' ids
    app: str
    topic: str
    type: str  # event type
    interval_s: float | None = None  # seconds between ticks, or
    cron: str = ""  # five fields, or six with seconds; UTC
    key: str = ""  # of the events; the schedule's name when empty
    data: msgspec.Raw = NULL

    def __post_init__(self) -> None:
        if (self.interval_s is None) == (not self.cron):
            raise ConfigError(f"schedule {self.name!r}: give an interval or a cron line")
        if self.interval_s is not None and not self.interval_s >= 0.001:
            raise ConfigError(f"schedule {self.name!r}: every {self.interval_s} s is under 1 ms")
        if self.cron:
            self.next_us(0)

    def next_us(self, after_us: int) -> int:
        """Return the first tick after an instant, both in microseconds since the Unix epoch.

        Raises:
            ConfigError: the cron line is none, or names a day that never comes.
        """
        if self.interval_s is not None:
            step_us = round(self.interval_s * 1e6)
            return (after_us // step_us + 1) * step_us
        return _next_cron_us(self.name, self.cron, after_us)

    def event(self, tick_us: int) -> Event:
        """Return the event of one tick, always the same."""
        time = format_time(tick_us)
        return Event(
            id=Derived(f"{self.app}/every/{self.name}").id(str(tick_us), time, 0),
            type=self.type,
            time=time,
            key=self.key or self.name,
            source=f"/{self.app}/{self.name}",
            data=self.data,
        )


def _next_cron_us(name: str, line: str, after_us: int) -> int:
    from cronsim import CronSim, CronSimError  # imported late: most programs have no cron line

    try:
        tick = next(CronSim(line, _EPOCH + timedelta(microseconds=after_us)), None)
    except CronSimError as err:
        raise ConfigError(f"schedule {name!r}: {line!r} is no cron line: {err}") from err
    if tick is None:
        raise ConfigError(f"schedule {name!r}: {line!r} names a day that never comes")
    return (tick - _EPOCH) // _MICROSECOND
