"""Publishes what is due by a timetable."""

from motet.core.errors import TransientError
from motet.core.ports import Clock, Timetable, Transport
from motet.resilience import RetryPolicy
from motet.telemetry import bind

log = bind(__name__)


class Ticker:
    """One event a tick, from however many processes run it: they all make the same event.

    Ticks that pass while no process runs are not made up for.
    """

    def __init__(
        self, timetable: Timetable, transport: Transport, *, clock: Clock, retry: RetryPolicy
    ) -> None:
        self._timetable = timetable
        self._transport = transport
        self._clock = clock
        self._retry = retry
        self.problem = ""  # why nothing is published at present; empty when all is well

    async def run(self) -> None:
        """Publish until cancelled."""
        tick_us = self._timetable.next_us(self._clock.now_us())
        while True:
            wait_us = tick_us - self._clock.now_us()
            if wait_us > 0:
                await self._clock.sleep(wait_us / 1e6)
                continue  # the wall clock may have been set meanwhile
            await self._publish(tick_us)
            tick_us = self._timetable.next_us(max(tick_us, self._clock.now_us() - 1))

    async def _publish(self, tick_us: int) -> None:
        failures = 0
        while True:
            try:
                await self._transport.publish(
                    self._timetable.topic, [self._timetable.event(tick_us)]
                )
            except TransientError as err:
                failures += 1
                self.problem = f"schedule of {self._timetable.topic!r}: {err}"
                delay_s = self._retry.outage_s(failures, random=self._clock.random())
                log.warning("tick.unavailable", extra={"error": str(err), "retry_in_s": delay_s})
                await self._clock.sleep(delay_s)
            else:
                self.problem = ""
                return
