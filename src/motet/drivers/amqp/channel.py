"""A channel: calls and their answers, consumers, confirmed publishing."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
from pamqp import base, commands, frame

from motet.core.errors import ConfigError, MotetError, Unavailable
from motet.drivers.amqp import wire
from motet.drivers.amqp.confirms import Confirms, RoutePair

if TYPE_CHECKING:  # a connection makes channels, and they write to it
    from motet.drivers.amqp.connection import Connection

Handler = Callable[[wire.Delivery | None], None]
"""Given each delivery, on the event loop; None: the broker ended the consumer."""

Arguments = Mapping[str, object]

Answer = asyncio.Future[base.Frame]


class _Call(msgspec.Struct, frozen=True):
    """A method that was sent, and the names of what may answer it."""

    names: tuple[str, ...]
    answer: Answer


REFUSED, MISMATCH = 403, 406


class ChannelClosed(Unavailable):
    """The broker refused a call, and with that closed its channel."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class Channel:
    """One channel of a `Connection`. It ends with the connection, or when the broker refuses."""

    def __init__(self, connection: "Connection", number: int) -> None:
        self.number = number
        self.connection = connection
        self.error: MotetError | None = None  # why it is closed; None: it is open
        self.confirms = Confirms()
        self._answers: deque[_Call] = deque()
        self._consumers: dict[bytes, Handler] = {}
        self._beginning: dict[str, Answer] = {}  # consumers not yet confirmed
        self._tags = 0
        self._routes: dict[tuple[str, str, bytes], wire.Route] = {}
        # The message that is arriving: its method frame, its header, its body so far.
        self._method: wire.Deliver | commands.Basic.Return | commands.Basic.GetOk | None = None
        self._head = b""
        self._left = 0
        self._pieces: list[bytes] = []
        self._got: wire.Delivery | None = None

    # Calls

    def post(self, call: base.Frame) -> Answer:
        """Send a method that is answered; the answer comes later, in the order of calls.

        Raises:
            MotetError: the channel is closed.
        """
        self._check()
        answer: Answer = asyncio.get_running_loop().create_future()
        self._answers.append(_Call(tuple(call.valid_responses), answer))
        self.connection.write(frame.marshal(call, self.number))
        return answer

    async def call(self, call: base.Frame) -> base.Frame:
        """Send a method and return its answer.

        Raises:
            ChannelClosed: the broker refused it; the channel is of no more use.
            ConfigError: it may not be done, or something is declared otherwise.
            Unavailable: the connection is gone, or the answer did not come in time.
        """
        return await self.connection.within(self.post(call), call.name)

    async def close(self) -> None:
        """Close it; what it had not acknowledged goes back to its queues."""
        if self.error is None:
            self._consumers.clear()  # nothing more is handed to them
            closing = self.call(commands.Channel.Close(200, "", 0, 0))
            try:
                await closing
            finally:
                self.fail(Unavailable("the channel was closed"))
                self.connection.forget(self.number)

    # Consuming

    async def consume(
        self,
        queue: str,
        handler: Handler,
        *,
        prefetch: int,
        arguments: Arguments | None = None,
        exclusive: bool = False,
    ) -> str:
        """Begin to consume with at most `prefetch` unacknowledged; return the consumer's tag."""
        tag, answer = self.post_consume(
            queue, handler, prefetch=prefetch, arguments=arguments, exclusive=exclusive
        )
        await self.connection.within(answer, "Basic.Consume")
        return tag

    def post_consume(
        self,
        queue: str,
        handler: Handler,
        *,
        prefetch: int,
        arguments: Arguments | None = None,
        exclusive: bool = False,
    ) -> tuple[str, Answer]:
        """Begin to consume without waiting for the answer; deliveries may come before it."""
        self._tags += 1
        tag = f"{self.number}.{self._tags}"
        self.post(commands.Basic.Qos(0, prefetch, False))  # of consumers that begin after it
        self._consumers[tag.encode()] = handler
        call = commands.Basic.Consume(
            queue=queue,
            consumer_tag=tag,
            exclusive=exclusive,
            arguments=dict(arguments or {}),  # type: ignore[arg-type]  # pamqp names each type
        )
        answer = self._beginning[tag] = self.post(call)
        answer.add_done_callback(lambda _: self._beginning.pop(tag, None))
        return tag, answer

    async def cancel(self, tag: str) -> None:
        """End a consumer; what it has unacknowledged stays so."""
        self._consumers.pop(tag.encode(), None)
        await self.call(commands.Basic.Cancel(consumer_tag=tag))

    def post_cancel(self, tag: str) -> None:
        """End a consumer without waiting; nothing more is handed to it."""
        self._consumers.pop(tag.encode(), None)
        beginning = self._beginning.get(tag)
        if beginning is None:
            self._end(tag)
        else:
            # RabbitMQ (3.10) closes the connection if it is to end a consumer before it has
            # answered that it began.
            beginning.add_done_callback(lambda _: self._end(tag))

    def _end(self, tag: str) -> None:
        if self.error is None:
            self.post(commands.Basic.Cancel(consumer_tag=tag))

    async def get(self, queue: str) -> wire.Delivery | None:
        """Take one message, to be acknowledged; None: the queue is empty."""
        self._got = None
        await self.call(commands.Basic.Get(queue=queue))
        return self._got

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Acknowledge a delivery, or all up to it. Not answered."""
        if self.error is None:
            self.connection.write(wire.ack(self.number, tag, multiple=multiple))

    def reject(self, tag: int, *, requeue: bool) -> None:
        """Give a delivery back, or to its dead-letter exchange. Not answered."""
        if self.error is None:
            call = commands.Basic.Reject(delivery_tag=tag, requeue=requeue)
            self.connection.write(frame.marshal(call, self.number))

    # Publishing

    def route(self, exchange: str, routing_key: str, properties: bytes) -> wire.Route:
        """Return what packs messages for a place; made once for each."""
        place = (exchange, routing_key, properties)
        found = self._routes.get(place)
        if found is None:
            if len(self._routes) >= 10_000:  # event types from outside may be without end
                self._routes.clear()
            try:
                found = wire.route(
                    self.number,
                    exchange,
                    routing_key,
                    properties,
                    frame_max=self.connection.frame_max,
                )
            except ValueError as err:
                raise ConfigError(f"exchange {exchange!r}, key {routing_key!r}: {err}") from err
            self._routes[place] = found
        return found

    def publish(self, frames: list[bytes], routes: Iterable[RoutePair]) -> "asyncio.Future[None]":
        """Write messages that a `route` packed, all at once; done when all are confirmed.

        The channel has to be in confirm mode. Nothing is awaited: all of it is handed to the
        connection, or, with an error, nothing.
        """
        self._check()
        confirmed = self.confirms.add(len(frames), frozenset(routes))
        self.connection.write(b"".join(frames))
        return confirmed

    def send(self, frames: list[bytes]) -> None:
        """Write messages on a channel without confirms: they arrive, or not."""
        self._check()
        self.connection.write(b"".join(frames))

    # What comes

    def on_method(self, data: bytes, start: int, stop: int) -> None:
        """A method frame came; its payload is `data[start:stop]`."""
        code = data[start : start + 4]
        if code == wire.DELIVER:
            self._method = wire.deliver(data, start + 4, stop)
        elif code == wire.ACKED:
            tag, multiple = wire.tag_and_bit(data, start + 4)
            self.confirms.settle(tag, multiple=bool(multiple))
        else:
            size = stop - start
            _, _, method = frame.unmarshal(
                wire.FRAME.pack(wire.METHOD, self.number, size) + data[start:stop] + wire.END
            )
            assert isinstance(method, base.Frame)
            self._on_rare(method)

    def on_header(self, head: bytes) -> None:
        """A header frame came."""
        self._head = head
        self._left = int.from_bytes(head[4:12], "big")
        if not self._left:
            self._complete(b"")

    def on_body(self, piece: bytes) -> None:
        """A body frame came; most messages have one."""
        self._left -= len(piece)
        if self._left > 0:
            self._pieces.append(piece)
        elif self._pieces:
            self._pieces.append(piece)
            body = b"".join(self._pieces)
            self._pieces.clear()
            self._complete(body)
        else:
            self._complete(piece)

    def fail(self, error: MotetError) -> None:
        """The channel is closed, by whoever it was."""
        if self.error is not None:
            return
        self.error = error
        while self._answers:
            answer = self._answers.popleft().answer
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # who waited may be gone, and that is no fault
        self.confirms.fail(error if isinstance(error, Unavailable) else Unavailable(str(error)))
        consumers, self._consumers = self._consumers, {}
        for handler in consumers.values():
            handler(None)

    def _complete(self, body: bytes) -> None:
        method, self._method = self._method, None
        if isinstance(method, wire.Deliver):
            handler = self._consumers.get(method.consumer)
            if handler is not None:
                handler(
                    wire.Delivery(method.tag, method.redelivered, method.place, self._head, body)
                )
        elif isinstance(method, commands.Basic.GetOk):
            place = _short(method.exchange or "") + _short(method.routing_key or "")
            self._got = wire.Delivery(
                method.delivery_tag or 0, bool(method.redelivered), place, self._head, body
            )
            self._answer(method)
        elif method is not None:
            self.confirms.returned(
                method.exchange or "", method.routing_key or "", method.reply_text or ""
            )

    def _on_rare(self, method: base.Frame) -> None:
        if isinstance(method, commands.Basic.Return | commands.Basic.GetOk):
            self._method = method
        elif isinstance(method, commands.Basic.Nack):
            error = Unavailable("the broker refused messages: a queue is full, or lost its leader")
            self.confirms.settle(
                method.delivery_tag or 0, multiple=bool(method.multiple), error=error
            )
        elif isinstance(method, commands.Basic.Cancel):
            handler = self._consumers.pop((method.consumer_tag or "").encode(), None)
            if handler is not None:
                handler(None)
        elif isinstance(method, commands.Channel.Close):
            self.connection.write(frame.marshal(commands.Channel.CloseOk(), self.number))
            self.connection.forget(self.number)
            self.fail(_closed(method.reply_code or 0, method.reply_text or ""))
        else:
            self._answer(method)

    def _answer(self, method: base.Frame) -> None:
        # In the order of calls, but for those to consume: their answers go another way.
        for call in self._answers:
            if method.name in call.names:
                self._answers.remove(call)
                if not call.answer.done():
                    call.answer.set_result(method)
                return

    def _check(self) -> None:
        if self.error is not None:
            raise self.error


def _closed(code: int, text: str) -> MotetError:
    if code == REFUSED:
        return ConfigError(f"the broker refuses: {text}; check the user's permissions")
    if code == MISMATCH and "inequivalent arg" in text:
        return ConfigError(f"{text}; it was declared with other settings: delete it, or use those")
    return ChannelClosed(f"the broker closed the channel: {code} {text}", code=code)


def _short(text: str) -> bytes:
    encoded = text.encode()
    return bytes([len(encoded)]) + encoded
