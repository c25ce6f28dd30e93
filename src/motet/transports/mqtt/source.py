"""Messages of an MQTT broker, acknowledged only once they are durable elsewhere.

The session outlives the connection and the process: the broker keeps what was not acknowledged,
and what comes meanwhile, under the client id.

paho reads the socket in a thread of its own. What it hands over waits in a queue until it is
taken; at level 1 the broker sends no more than `_UNACKNOWLEDGED` ahead, so the queue is bounded.
"""

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from motet.core.errors import ConfigError, MotetError, Unavailable
from motet.core.event import Headers, Message
from motet.core.ports import Clock, Taken
from motet.transports.mqtt.options import Options, parse

_UNACKNOWLEDGED = 2000  # most messages that the broker sends ahead of their acknowledgement
_QUEUED = 10_000  # at level 0, where nobody acknowledges, reading stops for a while at so many
_KEEPALIVE_S = 20
_LONGEST_PAUSE_S = 5
_GOODBYE_S = 2.0
_TAKEN_OVER = 142
_NOT_LET_IN = frozenset({128, 133, 134, 135, 138, 140, 143, 144})
"""Reasons that do not pass: client id, user, password or filter are wrong, or not allowed."""


class _Open(msgspec.Struct, frozen=True):
    taken: Taken
    mid: int  # the broker's number for it, within a connection
    qos: int
    connection: int


class _Problem(msgspec.Struct, frozen=True):
    kind: type[MotetError]
    text: str


class MqttSource:
    """One subscription; conforms to `ports.Source`. Use `open_source`."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self.lossy = options.qos == 0
        self._options = options
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._queue: deque[_Open] = deque()
        self._open: dict[int, _Open] = {}
        self._room = threading.Event()
        self._room.set()
        self._closing = False
        self._subscribed = False
        self._connection = 0
        self._problem: _Problem | None = None
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=paho.MQTTv5,
            manual_ack=True,
        )
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    async def take(self, *, max_messages: int, max_wait_s: float) -> Sequence[Taken]:
        """Return what has come, in order; nothing after `max_wait_s`.

        Raises:
            Unavailable: the broker does not answer; it is tried again all the time.
            ConfigError: it does not let us in, or another program took over the client id.
        """
        self._news.clear()
        if not self._queue:
            try:
                async with asyncio.timeout(max_wait_s):
                    await self._news.wait()
            except TimeoutError:
                pass
        if not self._queue:
            self._complain()
        found: list[_Open] = []
        while self._queue and len(found) < max_messages:
            found.append(self._queue.popleft())
        if len(self._queue) < _QUEUED:
            self._room.set()
        self._open.update((id(each.taken), each) for each in found)
        return [each.taken for each in found]

    async def done(self, taken: Sequence[Taken]) -> None:
        """Acknowledge, in the order they came.

        What came over a connection that is gone is not: the broker sends it again, and its
        numbers mean other messages now.
        """
        for each in taken:
            found = self._open.pop(id(each), None)
            if found is not None and found.qos and found.connection == self._connection:
                self._client.ack(found.mid, found.qos)

    def start(self) -> None:
        """Begin to connect.

        Raises:
            ConfigError: the TLS settings are of no use.
        """
        options, client = self._options, self._client
        if options.user:
            client.username_pw_set(options.user, options.password)
        if options.tls:
            try:
                client.tls_set_context(ssl.create_default_context(cafile=options.ca_file or None))
            except (OSError, ssl.SSLError) as err:
                raise ConfigError(f"mqtts://{options.address}: ca: {err}") from err
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho
        properties.SessionExpiryInterval = options.session_s
        properties.ReceiveMaximum = _UNACKNOWLEDGED
        client.reconnect_delay_set(1, _LONGEST_PAUSE_S)
        client.connect_async(
            options.host,
            options.port,
            keepalive=_KEEPALIVE_S,
            clean_start=False,
            properties=properties,
        )
        client.loop_start()

    async def close(self) -> None:
        """Disconnect; the session stays. What was not acknowledged comes again."""
        self._closing = True
        self._room.set()
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def _complain(self) -> None:
        if self._problem is not None:
            raise self._problem.kind(self._problem.text)
        if not self._subscribed:
            raise Unavailable(f"{self._where} does not answer yet")

    @property
    def _where(self) -> str:
        return f"mqtt at {self._options.address}"

    def _say(self, kind: type[MotetError], text: str) -> None:
        """Note a problem; a wrong setting outlasts what follows from it. In paho's thread."""
        if self._problem is None or self._problem.kind is not ConfigError:
            self._problem = _Problem(kind, text)
        self._ring()

    def _ring(self) -> None:
        if not self._news.is_set() and not self._closing:
            self._loop.call_soon_threadsafe(self._news.set)

    def _refused(self, code: ReasonCode, what: str) -> None:
        kind = ConfigError if code.value in _NOT_LET_IN else Unavailable
        self._say(kind, f"{self._where}: {what}: {code.getName()}")

    # What follows runs in paho's thread.

    def _on_connect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if code.is_failure:
            self._refused(code, "it does not let us in")
            return
        self._connection += 1
        # Retained messages come with a new subscription only, not again with every connection.
        wanted = SubscribeOptions(
            qos=self._options.qos, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        )
        client.subscribe(self._options.filter, options=wanted)

    def _on_connect_fail(self, client: paho.Client, userdata: object) -> None:
        self._say(
            Unavailable, f"{self._where} does not answer; is it running, and reachable from here?"
        )

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: object,
        flags: paho.DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._subscribed = False
        self._connection += 1
        if code.value == _TAKEN_OVER:
            self._say(
                ConfigError,
                f"{self._where}: another program connected with client id "
                f"{self._options.client_id!r}; give each its own with ?client_id=, and let them "
                "share with the filter $share/GROUP/FILTER",
            )
            client.disconnect()
        elif not self._closing:
            self._say(Unavailable, f"{self._where}: the connection was lost: {code.getName()}")

    def _on_subscribe(
        self,
        client: paho.Client,
        userdata: object,
        mid: int,
        codes: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        if codes and codes[0].is_failure:
            self._refused(codes[0], f"the filter {self._options.filter!r} is refused")
            return
        self._subscribed = True
        self._problem = None

    def _on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        while len(self._queue) >= _QUEUED and not self._closing:
            self._room.clear()
            self._room.wait(1.0)
        held = Message(b"", bytes(message.payload), headers(message.properties))
        taken = Taken(message.topic, held, None)
        self._queue.append(_Open(taken, message.mid, message.qos, self._connection))
        self._ring()


def headers(properties: Properties | None) -> Headers:
    """Return what MQTT 5 has beside a message; attributes of a CloudEvent as `ce_` headers."""
    if properties is None:
        return ()
    pairs: list[tuple[str, str]] = list(getattr(properties, "UserProperty", ()))
    cloud = any(name == "specversion" for name, _ in pairs)
    found = [(f"ce_{name}" if cloud else name, text.encode()) for name, text in pairs]
    if content_type := getattr(properties, "ContentType", ""):
        found.append(("content-type", content_type.encode()))
    return tuple(found)


@asynccontextmanager
async def open_source(url: str, clock: Clock) -> AsyncIterator[MqttSource]:
    """Subscribe to what `url` names; leaving the block disconnects, and the session stays.

    Raises:
        ConfigError: the URL is of no use.
    """
    source = MqttSource(parse(url), clock)
    source.start()
    try:
        yield source
    finally:
        await source.close()
