"""Who is in a group: members tell one another through a fanout exchange."""

import secrets
from collections.abc import Callable, Collection, Mapping

import msgspec
from pamqp import commands

from motet.core.event import Partition
from motet.core.ports import Clock
from motet.drivers.amqp import PLAIN, Channel, Delivery


class News(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a member says of itself."""

    member: int
    topics: tuple[str, ...]
    held: tuple[tuple[str, int], ...] = ()
    hello: bool = False  # it has just come, and wants to hear of the others
    bye: bool = False


class _Peer(msgspec.Struct):
    news: News
    heard_s: float


class Presence:
    """One member's view of its group, on a channel of its own."""

    def __init__(
        self,
        channel: Channel,
        exchange: str,
        topics: Collection[str],
        *,
        clock: Clock,
        session_s: float,
        changed: Callable[[], None],
    ) -> None:
        self.me = secrets.randbits(62)
        self.arrived = False  # our first word came back: who is there will answer
        self.asked = False  # somebody new wants to hear of us
        self._channel = channel
        self._exchange = exchange
        self._topics = tuple(sorted(topics))
        self._clock = clock
        self._session_s = session_s
        self._changed = changed
        self._peers: dict[int, _Peer] = {}
        self._decode = msgspec.json.Decoder(News).decode

    async def join(self) -> None:
        """Listen to the others, and say that we are here."""
        await self._channel.call(
            commands.Exchange.Declare(exchange=self._exchange, exchange_type="fanout", durable=True)
        )
        declared = await self._channel.call(
            commands.Queue.Declare(queue="", exclusive=True, auto_delete=True)
        )
        assert isinstance(declared, commands.Queue.DeclareOk)
        queue = declared.queue or ""
        await self._channel.call(
            commands.Queue.Bind(queue=queue, exchange=self._exchange, routing_key="")
        )
        await self._channel.consume(queue, self._on_delivery, prefetch=1000)
        self._send(News(self.me, self._topics, hello=True))

    def tell(self, held: Collection[Partition]) -> None:
        """Say what we hold."""
        self.asked = False
        places = tuple((each.topic, each.index) for each in sorted(held))
        self._send(News(self.me, self._topics, places))

    def leave(self) -> None:
        """Say that we go."""
        if self._channel.error is None:
            self._send(News(self.me, self._topics, bye=True))

    def readers(self) -> Mapping[int, frozenset[str]]:
        """The living members with their topics; who was not heard of for a session is dead."""
        oldest_s = self._clock.monotonic_s() - self._session_s
        for member in [m for m, peer in self._peers.items() if peer.heard_s < oldest_s]:
            del self._peers[member]
        found = {member: frozenset(peer.news.topics) for member, peer in self._peers.items()}
        return {**found, self.me: frozenset(self._topics)}

    def leases(self) -> dict[Partition, int]:
        """What the others say they hold."""
        return {
            Partition(*place): member
            for member, peer in self._peers.items()
            for place in peer.news.held
        }

    def _send(self, news: News) -> None:
        route = self._channel.route(self._exchange, "", PLAIN)
        self._channel.send([route.pack(msgspec.json.encode(news))])

    def _on_delivery(self, delivery: Delivery | None) -> None:
        if delivery is None:
            self._changed()
            return
        self._channel.ack(delivery.tag, multiple=True)
        news = self._decode(delivery.body)
        if news.member == self.me:
            self.arrived = True
        elif news.bye:
            self._peers.pop(news.member, None)
        else:
            self.asked = self.asked or news.hello
            self._peers[news.member] = _Peer(news, self._clock.monotonic_s())
        self._changed()
