"""A link: a connection that is made again when it is lost, and a channel that publishes on it."""

import asyncio
from collections.abc import Callable, Collection

from pamqp import commands

from motet.core.errors import Unavailable
from motet.core.ports import Clock
from motet.drivers.amqp.address import Address
from motet.drivers.amqp.channel import Channel
from motet.drivers.amqp.confirms import RoutePair
from motet.drivers.amqp.connection import Connection, dial

_FIRST_S, _LONGEST_S = 0.05, 1.0  # between two tries to connect

Frames = tuple[list[bytes], Collection[RoutePair]]
"""Packed messages, and where they go."""


class Link:
    """The way to a broker. Who asks for the connection gets the open one, or makes a new one."""

    def __init__(self, address: Address, clock: Clock, *, name: str) -> None:
        self.address = address
        self._clock = clock
        self._name = name
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._error: Unavailable | None = None
        self._delay_s = _FIRST_S
        self._retry_s = 0.0

    async def connection(self) -> Connection:
        """Return the open connection.

        Raises:
            ConfigError: the broker lets nobody in who says what the URL says.
            Unavailable: it does not answer, or did not a moment ago.
        """
        if self._connection is not None and self._connection.error is None:
            return self._connection
        async with self._turn:
            if self._connection is not None and self._connection.error is None:
                return self._connection
            if self._error is not None and self._clock.monotonic_s() < self._retry_s:
                raise self._error
            try:
                self._connection = await dial(self.address, name=self._name)
            except Unavailable as err:
                self._error = err
                self._retry_s = self._clock.monotonic_s() + self._delay_s
                self._delay_s = min(_LONGEST_S, 2 * self._delay_s)
                raise
            self._error, self._delay_s = None, _FIRST_S
            return self._connection

    async def channel(self) -> Channel:
        """Open a channel on the connection."""
        return await (await self.connection()).channel()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            await self._connection.close()


class Publisher:
    """Publishes on a link with confirms; the channel is opened again when it was closed."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: Channel | None = None
        self._turn = asyncio.Lock()

    async def publish(self, pack: Callable[[Channel], Frames]) -> None:
        """Write what `pack` makes, all at once, and return when every message is confirmed.

        Cancelled before it is written, nothing is; afterwards, all of it goes its way.

        Raises:
            Unavailable: the broker does not confirm it, or nobody would have got it.
        """
        channel = await self._open()
        await channel.connection.ready()
        frames, routes = pack(channel)
        confirmed = channel.publish(frames, routes)
        await channel.connection.within(confirmed, "a publish with its confirm")

    async def _open(self) -> Channel:
        channel = self._channel
        if channel is not None and channel.error is None:
            return channel
        async with self._turn:
            if self._channel is None or self._channel.error is not None:
                channel = await self._link.channel()
                await channel.call(commands.Confirm.Select())
                self._channel = channel
            return self._channel
