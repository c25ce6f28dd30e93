"""The bound on what the process has accepted but not yet written, and on what waits to be done."""

from types import TracebackType
from typing import Self

from motet.core.errors import BacklogFull
from motet.server.backlog import Backlog
from motet.server.limits import Limits


class Gate:
    """Admits events while there is room; everything is given back when a `Visit` ends."""

    def __init__(self, limits: Limits, backlog: Backlog) -> None:
        self.limits = limits
        self.backlog = backlog
        self.events = 0  # admitted and not yet durable
        self.bytes = 0  # of bodies being received or not yet durable

    def visit(self) -> "Visit":
        """Return one request's share of the gate, to be used in a `with` block."""
        return Visit(self)


class Visit:
    """What one request holds of the gate until its block is left."""

    __slots__ = ("_bytes", "_events", "_gate", "_topic")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._bytes = 0
        self._events = 0
        self._topic = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release_bytes()
        self._gate.events -= self._events
        if self._events and error is None:
            self._gate.backlog.appended(self._topic, self._events)

    def hold(self, size_bytes: int) -> None:
        """Take room for bytes of a body before keeping them.

        Raises:
            BacklogFull: other bodies fill the room; the sender is to wait.
        """
        gate = self._gate
        if gate.bytes + size_bytes > gate.limits.in_flight_bytes:
            raise self._full(f"{gate.bytes} bytes of requests are not yet durable")
        gate.bytes += size_bytes
        self._bytes += size_bytes

    def release_bytes(self) -> None:
        """Give back the room of a body that is not kept."""
        self._gate.bytes -= self._bytes
        self._bytes = 0

    def admit(self, topic: str, events: int) -> None:
        """Take room for the events of a request before appending them.

        Leaving the block without an error counts them as appended.

        Raises:
            BacklogFull: too many events are not yet durable, or not yet done by the topic's
                slowest group.
        """
        gate = self._gate
        if gate.events + events > gate.limits.in_flight_events:
            raise self._full(f"{gate.events} events are not yet durable")
        waiting = gate.backlog.of(topic) + gate.events
        if waiting + events > gate.limits.backlog_events:
            raise self._full(f"{waiting} events of topic {topic!r} are not yet done")
        gate.events += events
        self._events += events
        self._topic = topic

    def _full(self, found: str) -> BacklogFull:
        return BacklogFull(
            f"{found}, the limit is reached; nothing of this request was taken",
            retry_after_s=self._gate.limits.retry_after_s,
        )
