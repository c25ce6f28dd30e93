"""Publishes what the outbox holds when it is due: timers, and all when the log is elsewhere."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from motet.core.codec import encode
from motet.core.errors import CodecError, TransientError
from motet.core.event import Event
from motet.core.ids import IdSource
from motet.core.outcome import DeadLetter, Emit
from motet.core.ports import Clock, Queued, Store, Transport
from motet.resilience import RetryPolicy
from motet.runtime.failures import describe
from motet.telemetry import bind

log = bind(__name__)

_LIMIT = 1000
_POLL_S = 1.0  # safety net: commits of any process wake us
_LEAD_S = 3.0  # how long others wait for a relay that is gone


class Relay:
    """At least once, in the order written within each topic, with stable ids.

    An event that the log refuses becomes a dead letter without a group; the others go on.

    A log that keeps an id once per topic makes it exactly once. Of several relays on one outbox
    one leads and the others wait; should two publish, readers drop what comes twice.
    """

    def __init__(
        self, transport: Transport, store: Store, *, clock: Clock, retry: RetryPolicy
    ) -> None:
        self._name = IdSource(clock).next()
        self._led_until_us = 0
        self._transport = transport
        self._outbox = store.outbox
        self._dead_letters = store.dead_letters
        self._clock = clock
        self._retry = retry
        self._news = asyncio.Event()
        self._stopping = False
        self.problem = ""  # why nothing is published at present; empty when all is well

    def nudge(self) -> None:
        """Look now: something was committed that may have to go out."""
        self._news.set()

    def stop(self) -> None:
        """Publish what is due, then return from `run`."""
        self._stopping = True
        self._news.set()

    async def run(self) -> None:
        """Publish until `stop` is called."""
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._watch(), name="relay/watch")
            await self._run()
            watch.cancel()

    async def _watch(self) -> None:
        """Look also when another process has committed something."""
        while True:
            try:
                await self._outbox.changed(_POLL_S)
            except TransientError:
                await self._clock.sleep(_POLL_S)
            self._news.set()

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                while await self._publish_due():
                    failures = 0
                self.problem = ""
                if self._stopping:
                    return await self._resign()
                wait_s = await self._wait_s()
            except TransientError as err:
                failures += 1
                wait_s = self._retry.outage_s(failures, random=self._clock.random())
                self.problem = f"outbox: {err}"
                log.warning("relay.unavailable", extra={"error": str(err), "retry_in_s": wait_s})
                await self._clock.sleep(wait_s)
                continue
            await self._wait(wait_s)

    async def _publish_due(self) -> bool:
        if not await self._leads():
            return False
        due = await self._outbox.due(now_us=self._clock.now_us(), limit=_LIMIT)
        by_topic: dict[str, list[Queued]] = defaultdict(list)
        for queued in due:
            by_topic[queued.emit.topic].append(queued)
        sent: list[int] = []
        async with asyncio.TaskGroup() as tasks:
            sending = [
                tasks.create_task(self._send(topic, queued, sent), name=f"relay/{topic}")
                for topic, queued in by_topic.items()
            ]
        # Only now: a crash before this line publishes again, and the ids make that harmless.
        await self._outbox.done(sent)
        for failed in filter(None, [each.result() for each in sending]):
            raise failed
        return bool(due)

    async def _leads(self) -> bool:
        now_us = self._clock.now_us()
        ahead_us = self._led_until_us - now_us
        if _LEAD_S * 5e5 < ahead_us <= _LEAD_S * 1e6:
            return True
        until_us = now_us + round(_LEAD_S * 1e6)
        leads = await self._outbox.lead(self._name, now_us=now_us, until_us=until_us)
        self._led_until_us = until_us if leads else 0
        return leads

    async def _resign(self) -> None:
        """Let another relay lead at once."""
        if self._led_until_us:
            now_us = self._clock.now_us()
            await self._outbox.lead(self._name, now_us=now_us, until_us=now_us)

    async def _send(
        self, topic: str, queued: Sequence[Queued], sent: list[int]
    ) -> TransientError | None:
        """Publish to one topic, in order; note the rows that are done with in `sent`."""
        try:
            await self._transport.publish(topic, [each.emit.event for each in queued])
        except CodecError as err:
            return await self._part(topic, queued, err, sent)
        except TransientError as err:
            return err
        sent += [each.id for each in queued]
        return None

    async def _part(
        self, topic: str, queued: Sequence[Queued], error: CodecError, sent: list[int]
    ) -> TransientError | None:
        """Publish one by one, to find those that are refused; they are dead letters."""
        if len(queued) > 1:
            for each in queued:
                if (failed := await self._send(topic, [each], sent)) is not None:
                    return failed
            return None
        (refused,) = queued
        log.warning("relay.refused", extra={"topic": topic, "error": str(error)})
        try:
            await self._dead_letters.add([_letter(refused.emit, error)])
        except TransientError as err:
            return err
        # A crash before this row is noted leaves a second letter, and none is lost.
        sent.append(refused.id)
        return None

    async def _wait_s(self) -> float:
        if not self._led_until_us:
            return _POLL_S  # another relay sees to what is due
        next_us = await self._outbox.next_due_us()
        if next_us is None:
            return _POLL_S
        return min(_POLL_S, max(0.0, (next_us - self._clock.now_us()) / 1e6))

    async def _wait(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()


def _letter(emit: Emit, error: CodecError) -> DeadLetter:
    event = emit.event
    return DeadLetter(
        topic=emit.topic,
        partition=-1,
        offset=-1,
        group="",
        key=event.key,
        event_type=event.type,
        value=_bytes(event),
        error=describe(error),
    )


def _bytes(event: Event) -> bytes:
    try:
        return encode(event)
    except CodecError:  # the store that kept it does not encode either
        return repr(event).encode(errors="backslashreplace")
