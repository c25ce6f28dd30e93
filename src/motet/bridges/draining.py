"""From a source to a target: take, publish, and only then let the source forget."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from motet.bridges.picking import Picker
from motet.bridges.targets import Target, publish
from motet.core.errors import CodecError, HandlerError, TransientError
from motet.core.event import Event
from motet.core.outcome import DeadLetter
from motet.core.ports import Clock, DeadLetters, Source, Taken
from motet.resilience import RetryPolicy
from motet.runtime.failures import describe
from motet.telemetry import bind

log = bind(__name__)

_MOST = 500
_IDLE = 2  # takes in a row without a message
_WAIT_S = 0.5  # longest wait of one take; also how soon a stop is noticed


class Draining:
    """Empties one source into one topic, message by message in the order they come.

    At least once: a crash after publishing and before `Source.done` takes them again. What is no
    event, or is refused by the target, becomes a dead letter with its bytes.
    """

    def __init__(
        self,
        source: Source,
        target: Target,
        dead_letters: DeadLetters,
        *,
        topic: str,
        opened: Callable[[Taken], Event],
        picker: Picker,
        clock: Clock,
        retry: RetryPolicy,
    ) -> None:
        self._source = source
        self._target = target
        self._dead_letters = dead_letters
        self._topic = topic
        self._opened = opened
        self._picker = picker
        self._counts = picker.counts
        self.lossy = source.lossy
        self._clock = clock
        self._retry = retry
        self._stopping = False
        self._empty = asyncio.Event()
        self.problem = ""  # why nothing moves at present; empty when all is well

    def stop(self) -> None:
        """Take nothing more; `run` returns once what is in hand is durable."""
        self._stopping = True

    async def until_idle(self) -> None:
        """Return once the source had nothing for a while."""
        await self._empty.wait()

    async def run(self) -> None:
        """Work until `stop` is called."""
        empty = 0
        while not self._stopping:
            taken = await self._insist(self._take)
            if taken:
                await self._insist(partial(self._copy, taken))
                empty = 0
                continue
            empty += 1
            if empty == _IDLE:
                self._empty.set()

    async def _take(self) -> Sequence[Taken]:
        return await self._source.take(max_messages=_MOST, max_wait_s=_WAIT_S)

    async def _copy(self, taken: Sequence[Taken]) -> Sequence[Taken]:
        given: list[tuple[Taken, Event]] = []
        letters: list[DeadLetter] = []
        for each in taken:
            try:
                event = self._picker.copy(self._opened(each))
            except (CodecError, HandlerError) as err:
                letters.append(self._letter(each, err))
                continue
            if event is not None:
                given.append((each, event))
        for each, error in await publish(self._target, self._topic, given, self._counts):
            letters.append(self._letter(each, error))
        if letters:
            await self._dead_letters.add(letters)
            self._counts.refused += len(letters)
        # Only now: a crash before this line takes them again, and none is lost.
        await self._source.done(taken)
        return taken

    def _letter(self, taken: Taken, error: Exception) -> DeadLetter:
        return DeadLetter(
            topic=self._topic,
            partition=-1,
            offset=-1,
            group="",
            key=taken.message.key.decode(errors="replace") or taken.topic_or_channel,
            event_type="",
            value=taken.message.value or b"",
            error=describe(error),
            first_failed_us=self._clock.now_us(),
        )

    async def _insist(self, call: Callable[[], Awaitable[Sequence[Taken]]]) -> Sequence[Taken]:
        """Call until it works, or until a stop finds it failing."""
        failures = 0
        while True:
            try:
                done = await call()
            except TransientError as err:
                if self._stopping:
                    return ()
                failures += 1
                delay_s = self._retry.outage_s(failures, random=self._clock.random())
                self.problem = str(err)
                log.warning("bridge.unavailable", extra={"error": str(err), "retry_in_s": delay_s})
                await self._clock.sleep(delay_s)
            else:
                self.problem = ""
                return done
