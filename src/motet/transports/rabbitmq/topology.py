"""Exchanges, queues and bindings, as values, and declaring them."""

from collections.abc import Mapping, Sequence
from enum import Enum

import msgspec
from pamqp import base, commands

from motet.core.errors import ConfigError
from motet.drivers.amqp import Channel

Value = str | int | float | bool


class Kind(Enum):
    """How an exchange routes: by key, by a pattern of keys, to all, by headers."""

    DIRECT = "direct"
    TOPIC = "topic"
    FANOUT = "fanout"
    HEADERS = "headers"


class Exchange(msgspec.Struct, frozen=True):
    """Where messages are published."""

    name: str
    kind: Kind = Kind.DIRECT


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue that lives on the broker, and what happens to what nobody takes."""

    name: str
    quorum: bool = True  # replicated and synced to disk; False: a classic one
    ttl_s: float | None = None  # older messages are dead
    dead_letter_exchange: str | None = None  # where the dead go; None: nowhere
    dead_letter_key: str | None = None  # with which routing key; None: their own
    delivery_limit: int | None = None  # redeliveries, then a message is dead; quorum only
    single_active: bool = False  # one consumer at a time, in order; the next takes over
    max_length: int | None = None  # of more, the oldest are dead

    def arguments(self) -> dict[str, object]:
        """Return what it is declared with.

        Raises:
            ConfigError: a classic queue has no delivery limit.
        """
        if self.delivery_limit is not None and not self.quorum:
            raise ConfigError(f"queue {self.name!r}: only quorum queues have a delivery limit")
        given = {
            "x-queue-type": "quorum" if self.quorum else "classic",
            "x-message-ttl": None if self.ttl_s is None else round(self.ttl_s * 1000),
            "x-dead-letter-exchange": self.dead_letter_exchange,
            "x-dead-letter-routing-key": self.dead_letter_key,
            "x-delivery-limit": self.delivery_limit,
            "x-single-active-consumer": self.single_active or None,
            "x-max-length": self.max_length,
        }
        return {name: value for name, value in given.items() if value is not None}


class Binding(msgspec.Struct, frozen=True):
    """What of an exchange goes to a queue: by `key`, or by `headers` where the exchange does."""

    queue: str
    exchange: str
    key: str = ""
    headers: Mapping[str, Value] = {}
    every: bool = True  # header: all of them have to match; False: one is enough

    def arguments(self) -> dict[str, object]:
        """Return what it is bound with."""
        if not self.headers:
            return {}
        return {"x-match": "all" if self.every else "any", **self.headers}


class Topology(msgspec.Struct, frozen=True):
    """What has to be there before messages flow."""

    exchanges: Sequence[Exchange] = ()
    queues: Sequence[Queue] = ()
    bindings: Sequence[Binding] = ()

    async def declare(self, channel: Channel) -> None:
        """Declare all of it, in one round trip. Idempotent.

        Raises:
            ConfigError: something of that name is there with other settings.
            Unavailable: the broker does not answer, or a binding names what is not there.
        """
        for answer in [channel.post(call) for call in self._calls()]:
            await channel.connection.within(answer, "a declaration")

    def _calls(self) -> list[base.Frame]:
        calls: list[base.Frame] = [
            commands.Exchange.Declare(
                exchange=each.name, exchange_type=each.kind.value, durable=True
            )
            for each in self.exchanges
        ]
        for queue in self.queues:
            arguments = queue.arguments()
            calls.append(
                commands.Queue.Declare(
                    queue=queue.name,
                    durable=True,
                    arguments=arguments,  # type: ignore[arg-type]  # pamqp names each type
                )
            )
        for each in self.bindings:
            arguments = each.arguments()
            calls.append(
                commands.Queue.Bind(
                    queue=each.queue,
                    exchange=each.exchange,
                    routing_key=each.key,
                    arguments=arguments,  # type: ignore[arg-type]  # pamqp names each type
                )
            )
        return calls


def ordered(queue: Queue, count: int) -> list[Queue]:
    """Return `count` queues `NAME.0` and so on: each key in one, each with one active consumer."""
    if count < 1:
        raise ConfigError(f"queue {queue.name!r}: at least 1 is needed to keep order, not {count}")
    return [
        msgspec.structs.replace(queue, name=f"{queue.name}.{index}", single_active=True)
        for index in range(count)
    ]
