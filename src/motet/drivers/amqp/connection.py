"""A connection to an AMQP 0-9-1 broker, on asyncio and `pamqp`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from pamqp import base, commands, exceptions, frame, header

from motet.core.errors import ConfigError, MotetError, Unavailable
from motet.drivers.amqp import wire
from motet.drivers.amqp.address import Address, tls_context
from motet.drivers.amqp.channel import Channel

T = TypeVar("T")

_FRAME_MAX = 131_072
_CHANNELS = 2047
_WRITE_BUFFER_BYTES = 4 << 20  # above this a publisher waits
_log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """An open connection: `open_connection` makes one. It does not come back once it is closed."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.frame_max = _FRAME_MAX
        self.error: MotetError | None = None  # why it is closed; None: it is open
        self.blocked = ""  # why the broker takes nothing at present; empty: it does
        self.closed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._channels: dict[int, Channel] = {}
        self._last_number = 0
        self._rest = b""
        self._greeting: asyncio.Queue[base.Frame] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()
        self._unblocked = asyncio.Event()
        self._unblocked.set()
        self._heartbeat_s = 0
        self._heard_s = self._wrote_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def silent_s(self) -> float:
        """How long nothing has come; the broker sends something every half heartbeat."""
        return self._loop.time() - self._heard_s

    @property
    def alive(self) -> bool:
        """Whether it is open, and was heard of within one and a half heartbeats."""
        return self.error is None and self.silent_s() < 1.5 * self.address.heartbeat_s

    async def channel(self) -> Channel:
        """Open a channel.

        Raises:
            MotetError: the connection is closed.
        """
        if self.error is not None:
            raise self.error
        number = self._number()
        channel = self._channels[number] = Channel(self, number)
        await channel.call(commands.Channel.Open())
        return channel

    def forget(self, number: int) -> None:
        """A channel was closed: its number is free."""
        self._channels.pop(number, None)

    def write(self, data: bytes) -> None:
        """Hand bytes over to the connection; what is written goes out in order."""
        if self._transport is not None and self.error is None:
            self._wrote_s = self._loop.time()
            self._transport.write(data)

    async def ready(self) -> None:
        """Return when the broker takes messages and the write buffer is not full.

        Raises:
            Unavailable: that took longer than the timeout.
        """
        if self._writable.is_set() and self._unblocked.is_set():
            return
        try:
            async with asyncio.timeout(self.address.timeout_s):
                await self._unblocked.wait()
                await self._writable.wait()
        except TimeoutError as err:
            why = self.blocked or "it does not read what is sent"
            raise Unavailable(f"{self.address} takes no messages: {why}") from err
        if self.error is not None:
            raise self.error

    async def within(self, answer: Awaitable[T], what: str) -> T:
        """Await an answer; if it does not come in time the connection is given up.

        Raises:
            Unavailable: it did not come.
        """
        try:
            async with asyncio.timeout(self.address.timeout_s):
                return await answer
        except TimeoutError as err:
            error = Unavailable(
                f"{self.address} did not answer {what} within {self.address.timeout_s:g} s: "
                "is the broker overloaded, or the network down?"
            )
            self.abort(error)
            raise error from err

    async def close(self) -> None:
        """Say goodbye, and close."""
        if self.error is None:
            self.write(frame.marshal(commands.Connection.Close(200, "", 0, 0), 0))
            try:
                async with asyncio.timeout(min(2.0, self.address.timeout_s)):
                    await self.closed.wait()
            except TimeoutError:
                _log.info("amqp.close", extra={"broker": str(self.address)})
        self.abort(Unavailable(f"the connection to {self.address} was closed"))

    def abort(self, error: MotetError) -> None:
        """Close at once; every call that waits fails with `error`."""
        if self.error is None:
            self.error = error
            if self._timer is not None:
                self._timer.cancel()
            if self._transport is not None:
                self._transport.abort()
            channels, self._channels = self._channels, {}
            for channel in channels.values():
                channel.fail(error)
            self._greeting.put_nowait(commands.Connection.CloseOk())
            self._writable.set()
            self._unblocked.set()
            self.closed.set()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        transport.write(header.ProtocolHeader().marshal())

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is closed."""
        why = f": {exc}" if exc else ""
        self.abort(Unavailable(f"the connection to {self.address} was lost{why}"))

    def pause_writing(self) -> None:
        """asyncio: the write buffer is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """asyncio: the write buffer has room."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        self._heard_s = self._loop.time()
        if self._rest:
            data = self._rest + data
        try:
            self._rest = data[self._frames(data) :]
        except (exceptions.PAMQPException, ValueError, IndexError, AssertionError) as err:
            self.abort(Unavailable(f"{self.address} sent what is no AMQP 0-9-1: {err!r}"))

    def _frames(self, data: bytes) -> int:
        """Handle the whole frames in `data`; return where they end."""
        at, end = 0, len(data)
        unpack, channels = wire.FRAME.unpack_from, self._channels
        if data.startswith(b"AMQP"):
            raise ValueError(f"it speaks {data[:8]!r}")
        while end - at >= 8:
            kind, number, size = unpack(data, at)
            start = at + 7
            stop = start + size
            if stop >= end:
                self._check_size(size)
                break
            if data[stop] != 0xCE:
                raise ValueError(f"a frame without its end at {stop}")
            at = stop + 1
            channel = channels.get(number)
            if channel is None:  # 0 is ours; another was closed while this was on its way
                if number == 0 and kind == wire.METHOD:
                    self._on_own(data[start - 7 : at])
            elif kind == wire.BODY:
                channel.on_body(data[start:stop])
            elif kind == wire.METHOD:
                channel.on_method(data, start, stop)
            elif kind == wire.HEADER:
                channel.on_header(data[start:stop])
        return at

    def _check_size(self, size: int) -> None:
        """Refuse to wait for more than was agreed on: those are no frames."""
        if size > self.frame_max:
            raise ValueError(f"a frame of {size} bytes")

    def _on_own(self, data: bytes) -> None:
        _, _, method = frame.unmarshal(data)
        if isinstance(method, commands.Connection.Blocked):
            self.blocked = f"the broker is short of memory or disk ({method.reason})"
            self._unblocked.clear()
            _log.warning("amqp.blocked", extra={"broker": str(self.address), "why": method.reason})
        elif isinstance(method, commands.Connection.Unblocked):
            self.blocked = ""
            self._unblocked.set()
        elif isinstance(method, commands.Connection.Close):
            self.write(frame.marshal(commands.Connection.CloseOk(), 0))
            self.abort(self._refusal(method))
        elif isinstance(method, commands.Connection.CloseOk):
            self.abort(Unavailable(f"the connection to {self.address} was closed"))
        elif isinstance(method, base.Frame):
            self._greeting.put_nowait(method)

    def _refusal(self, close: commands.Connection.Close) -> MotetError:
        text = f"{self.address}: {close.reply_code} {close.reply_text}"
        if close.reply_code == 403:
            return ConfigError(f"{text}; check user {self.address.user!r} and its password")
        if close.reply_code == 530:
            return ConfigError(f"{text}; check the vhost {self.address.vhost!r} in the URL")
        return Unavailable(f"the broker closed the connection: {text}")

    # The handshake and what follows from it

    async def greet(self, name: str) -> None:
        """Log in, agree on sizes and heartbeats, open the vhost."""
        await self._expect(commands.Connection.Start)
        secret = f"\0{self.address.user}\0{self.address.password}"
        start = commands.Connection.StartOk(
            client_properties={
                "product": "motet",
                "connection_name": name,
                "capabilities": {
                    "authentication_failure_close": True,
                    "basic.nack": True,
                    "connection.blocked": True,
                    "consumer_cancel_notify": True,
                    "publisher_confirms": True,
                },
            },
            mechanism="PLAIN",
            response=secret,
        )
        self.write(frame.marshal(start, 0))
        tune = await self._expect(commands.Connection.Tune)
        self.frame_max = min(_FRAME_MAX, tune.frame_max or _FRAME_MAX)
        self._heartbeat_s = self.address.heartbeat_s
        agreed = commands.Connection.TuneOk(
            min(_CHANNELS, tune.channel_max or _CHANNELS), self.frame_max, self._heartbeat_s
        )
        self.write(frame.marshal(agreed, 0))
        self.write(frame.marshal(commands.Connection.Open(self.address.vhost), 0))
        await self._expect(commands.Connection.OpenOk)
        self._beat()

    async def _expect(self, kind: type[T]) -> T:
        method = await self._greeting.get()
        if self.error is not None:
            raise self.error
        if not isinstance(method, kind):
            raise Unavailable(f"{self.address} answered {method.name}: is it an AMQP broker?")
        return method

    def _beat(self) -> None:
        """Twice a heartbeat: say that we live, and see whether the broker does."""
        if self.error is not None:
            return
        half_s = self._heartbeat_s / 2
        if self._loop.time() - self._wrote_s >= half_s * 0.9:
            self.write(wire.BEAT)
        if self.silent_s() > 2 * self._heartbeat_s:
            self.abort(
                Unavailable(
                    f"nothing was heard of {self.address} for {self.silent_s():.1f} s: "
                    "the broker hangs, or the network is down"
                )
            )
            return
        self._timer = self._loop.call_later(half_s, self._beat)

    def _number(self) -> int:
        for _ in range(_CHANNELS):
            self._last_number = self._last_number % _CHANNELS + 1
            if self._last_number not in self._channels:
                return self._last_number
        raise Unavailable(f"{_CHANNELS} channels are open on one connection to {self.address}")


async def dial(address: Address, *, name: str = "motet") -> Connection:
    """Connect and log in. The caller closes it.

    Raises:
        ConfigError: user, password, vhost or TLS settings are refused.
        Unavailable: nobody answers there.
    """
    loop = asyncio.get_running_loop()
    context = tls_context(address)
    connection: Connection | None = None
    try:
        async with asyncio.timeout(address.timeout_s):
            _, connection = await loop.create_connection(
                lambda: Connection(address),
                address.host,
                address.port,
                ssl=context,
            )
            await connection.greet(name)
    except (OSError, TimeoutError) as err:
        why = str(err) or f"no answer within {address.timeout_s:g} s"
        error = Unavailable(f"no RabbitMQ answers at {address}: {why}; is it running there?")
        if connection is not None:
            connection.abort(error)
        raise error from err
    except BaseException:
        if connection is not None:
            connection.abort(Unavailable("not connected"))
        raise
    return connection


@asynccontextmanager
async def open_connection(address: Address, *, name: str = "motet") -> AsyncIterator[Connection]:
    """Connect and log in; leaving the block closes the connection."""
    connection = await dial(address, name=name)
    try:
        yield connection
    finally:
        await connection.close()
