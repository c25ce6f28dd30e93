"""Redis Pub/Sub as a source: what n8n's Redis Trigger reads.

Pub/Sub keeps nothing. What is published while nobody listens is gone, and so is what comes faster
than it is taken. Who must not lose events publishes to a topic.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from motet.core.errors import ConfigError, MotetError, Unavailable
from motet.core.event import Message
from motet.core.ports import Clock, Taken
from motet.drivers.beside import beside
from motet.telemetry import bind
from motet.transports.redis.connection import Connection, pack
from motet.transports.redis.options import Options, parse
from motet.transports.redis.wire import Wire

_MOST = 10_000  # messages held for who takes them
_MOST_BYTES = 16 << 20
_PAUSE_S = 0.05

_log = bind(__name__)


class PubSubSource:
    """Messages of channels as they come; conforms to `ports.Source`.

    A message's key is its channel, so messages of one channel stay in order. At most 10,000
    messages or 16 MiB wait to be taken; what comes then is dropped, counted and logged.
    """

    lossy = True

    def __init__(self, options: Options, clock: Clock, *, patterns: Collection[str]) -> None:
        self.dropped = 0  # messages that nobody took in time
        self._options = options
        self._clock = clock
        self._patterns = sorted(patterns)
        self._connection = Connection(options, clock, name="motet-pubsub")
        self._held: deque[Taken] = deque()
        self._held_bytes = 0
        self._news = asyncio.Event()
        self._heard_s = 0.0
        self._dropping = False
        self._down: MotetError | None = Unavailable("not connected yet")

    async def take(self, *, max_messages: int, max_wait_s: float) -> Sequence[Taken]:
        """Return what has come, at most `max_messages`; nothing after `max_wait_s`.

        Raises:
            Unavailable: nothing is held, and the server does not answer.
        """
        until_s = self._clock.monotonic_s() + max_wait_s
        while not self._held:
            if self._down is not None:
                raise type(self._down)(str(self._down)) from self._down
            left_s = until_s - self._clock.monotonic_s()
            if left_s <= 0:
                return ()
            self._news.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._news.wait()
            except TimeoutError:
                pass
        taken = [self._held.popleft() for _ in range(min(max_messages, len(self._held)))]
        self._held_bytes -= sum(_size(each) for each in taken)
        self._dropping = False
        return taken

    async def done(self, taken: Sequence[Taken]) -> None:
        """Do nothing: Pub/Sub has forgotten them long since."""

    async def begin(self) -> None:
        """Listen, and return once the server says that it will tell.

        Raises:
            Unavailable: it does not answer.
            ConfigError: it is of no use, or does not let us in.
        """
        if not self._patterns:
            raise ConfigError("Pub/Sub needs at least one channel or pattern")
        await self._subscribe()
        async with asyncio.timeout(self._options.timeout_s):
            while self._down is not None:
                self._news.clear()
                await self._news.wait()

    async def run(self) -> None:
        """Listen, again whenever the connection was lost, until cancelled."""
        while True:
            try:
                await self._listen(await self._subscribe())
                self._fail(Unavailable(f"redis at {self._options.address}: connection lost"))
            except MotetError as err:
                self._fail(err)
                await self._clock.sleep(_PAUSE_S)

    def close(self) -> None:
        """Let the socket go."""
        self._connection.close()

    async def _subscribe(self) -> Wire:
        wire = await self._connection.ready()
        if wire.on_push is None:
            wire.on_push = self._take
            wire.push(pack((b"PSUBSCRIBE", *self._patterns)))
        return wire

    async def _listen(self, wire: Wire) -> None:
        every_s = self._options.timeout_s / 2
        self._heard_s = self._clock.monotonic_s()
        while wire.open:
            wire.push(pack((b"PING",)))
            try:
                async with asyncio.timeout(every_s):
                    await wire.closed.wait()
            except TimeoutError:
                pass
            if self._clock.monotonic_s() - self._heard_s > self._options.timeout_s:
                wire.abort(TimeoutError("the server is silent"))

    def _take(self, reply: object) -> None:
        self._heard_s = self._clock.monotonic_s()
        match reply:
            case [b"pmessage", bytes(), bytes() as channel, bytes() as value]:
                self._keep(channel, value)
            case [b"psubscribe", *_]:
                self._down = None
                self._news.set()
            case Exception():
                self._fail(ConfigError(f"redis at {self._options.address}: {reply}"))

    def _keep(self, channel: bytes, value: bytes) -> None:
        if len(self._held) >= _MOST or self._held_bytes + len(value) > _MOST_BYTES:
            self.dropped += 1
            if not self._dropping:
                _log.warning("redis.pubsub_dropped", extra={"dropped": self.dropped})
            self._dropping = True
            return
        taken = Taken(channel.decode(errors="replace"), Message(key=channel, value=value), None)
        self._held.append(taken)
        self._held_bytes += _size(taken)
        self._news.set()

    def _fail(self, err: MotetError) -> None:
        if self._down is None:
            _log.warning("redis.pubsub", extra={"error": str(err)})
        self._down = err
        self._news.set()


def _size(taken: Taken) -> int:
    return len(taken.message.value or b"")


@asynccontextmanager
async def open_pubsub(
    url: str, clock: Clock, *, patterns: Collection[str]
) -> AsyncIterator[PubSubSource]:
    """Listen to the channels that match glob-like `patterns`, for the time of the block.

    The URL is that of a transport; its prefix is not put before channels.

    Raises:
        ConfigError: the URL or the server is of no use.
        Unavailable: the server does not answer.
    """
    source = PubSubSource(parse(url), clock, patterns=patterns)
    try:
        await source.begin()
        async with beside({"redis/pubsub": source.run()}):
            yield source
    finally:
        source.close()
