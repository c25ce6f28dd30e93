"""How much the HTTP side takes, so that no sender can make the process grow."""

import msgspec

from motet.core.errors import ConfigError


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on requests and on what waits behind them. All are per process."""

    body_bytes: int = 8 * 2**20  # of one request
    events_per_request: int = 10_000
    in_flight_events: int = 50_000  # accepted, not yet durable
    in_flight_bytes: int = 64 * 2**20  # of bodies being received or not yet durable
    backlog_events: int = 1_000_000  # durable, not yet done by the slowest group of the topic
    topics: int = 1_000  # a request may create one while there are fewer
    body_s: float = 30.0  # to receive a body in, seconds
    retry_after_s: float = 1.0  # what a sender is told to wait when a queue is full

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if getattr(self, name) <= 0:
                raise ConfigError(f"Limits.{name} is {getattr(self, name)}: it must be positive")
        if self.body_bytes > self.in_flight_bytes:
            raise ConfigError("Limits.body_bytes exceeds in_flight_bytes: it could never be used")
        if self.events_per_request > min(self.in_flight_events, self.backlog_events):
            raise ConfigError(
                "Limits.events_per_request exceeds in_flight_events or backlog_events: "
                "such a request would be refused for ever"
            )
