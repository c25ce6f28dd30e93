"""Appending: one script for all that belongs together."""

from collections.abc import Sequence

import msgspec

from motet.core.errors import Fenced, Unavailable
from motet.core.event import Event, Message, Partition
from motet.core.ports import Advance, Progress
from motet.transports.redis.catalogue import Catalogue
from motet.transports.redis.connection import Connection, pack
from motet.transports.redis.entries import Load, joined, load, load_messages
from motet.transports.redis.keys import Keys, before
from motet.transports.redis.options import Options
from motet.transports.redis.scripts import ADVANCE, PUBLISH, Script

_TRIES = 3  # a topic that the server has forgotten is made again


class Noted(msgspec.Struct, frozen=True, array_like=True):
    """Progress as the server keeps it: a JSON array."""

    next: int
    ahead: tuple[int, ...] = ()


_noted = msgspec.json.Decoder(Noted).decode
_encode = msgspec.json.Encoder().encode


class Publishing:
    """Appends to topics over a connection of its own, so that a long publish holds up no lease."""

    def __init__(
        self, connection: Connection, catalogue: Catalogue, keys: Keys, options: Options
    ) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._keys = keys
        self._mode = options.cloudevents
        self._options = options

    async def publish(self, topic: str, events: Sequence[Event]) -> int:
        """Append events to one topic, all or none.

        Raises:
            CodecError: one could not be read back, or is out of bounds.
            Unavailable: there was no reply.
        """
        if not events:
            return 0
        for _ in range(_TRIES):
            partitions = await self._catalogue.partitions(topic)
            if await self._append([load(topic, events, partitions=partitions, mode=self._mode)]):
                return len(events)
        raise self._forgetful(topic)

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Append messages to one topic, all or none.

        Raises:
            Unavailable: there was no reply.
        """
        if not messages:
            return
        for _ in range(_TRIES):
            partitions = await self._catalogue.partitions(topic)
            if await self._append([load_messages(topic, messages, partitions=partitions)]):
                return
        raise self._forgetful(topic)

    async def advance(self, step: Advance, *, member: bytes) -> None:
        """Publish what a step emits and note progress, all or nothing.

        Raises:
            Fenced: the member does not hold the partition.
            CodecError: an emit could not be read back.
            Unavailable: there was no reply.
        """
        by_topic: dict[str, list[Event]] = {}
        for emit in step.emits:
            by_topic.setdefault(emit.topic, []).append(emit.event)
        for _ in range(_TRIES):
            loads = [
                load(
                    topic,
                    events,
                    partitions=await self._catalogue.partitions(topic),
                    mode=self._mode,
                )
                for topic, events in by_topic.items()
            ]
            if await self._append(loads, step=step, member=member):
                return
        raise self._forgetful(", ".join(by_topic))

    async def advanced(self, group: str, partition: Partition) -> Progress:
        """Where the server has a group in a partition.

        Raises:
            Unavailable: the server does not answer.
        """
        key = self._keys.progress(partition.topic, group)
        value = await self._connection.call(pack((b"HGET", key, partition.index)), object)
        if not isinstance(value, bytes):
            return Progress()
        try:
            noted = _noted(value)
        except (msgspec.MsgspecError, UnicodeError) as err:
            raise Unavailable(f"{key.decode()!r} holds {value[:80]!r}: {err}") from err
        return Progress(next=noted.next, ahead=noted.ahead)

    async def _append(
        self, loads: list[Load], *, step: Advance | None = None, member: bytes = b""
    ) -> bool:
        """Whether it is done; False: the server has forgotten a topic, and nothing was done."""
        partitions, arguments = joined(loads)
        keys = [self._keys.topics, self._keys.news]
        args: list[bytes] = []
        script: Script = PUBLISH
        if step is not None:
            script = ADVANCE
            keys += self._step_keys(step)
            args += _step_args(step, member)
        keys += [self._keys.stream(partition) for partition in partitions]
        args += (b"%d" % len(loads), *(each.topic.encode() for each in loads), *arguments)
        reply = await self._connection.run(script, keys, args, object)
        if reply == 0 and step is not None:
            raise Fenced(f"{step.group!r} has lost {step.partition} to another member")
        if isinstance(reply, bytes):
            self._catalogue.forget(reply.decode())
            return False
        await self._confirm()
        return True

    def _step_keys(self, step: Advance) -> list[bytes]:
        return [
            self._keys.leases(step.group),
            self._keys.progress(step.partition.topic, step.group),
            self._keys.stream(step.partition),
        ]

    async def _confirm(self) -> None:
        """Wait for replicas or the disk, where the URL asks for it."""
        options = self._options
        if not options.wait and not options.waitaof:
            return
        limit = round(options.timeout_s * 1000)
        if options.waitaof:
            request = pack((b"WAITAOF", 1, options.wait, limit))
            disk, replicas = await self._connection.call(request, list, timeout_s=options.timeout_s)
        else:
            request = pack((b"WAIT", options.wait, limit))
            replicas = await self._connection.call(request, int, timeout_s=options.timeout_s)
            disk = 1
        if disk < 1 or replicas < options.wait:
            raise Unavailable(
                f"redis at {options.address} has the events, but {replicas} of {options.wait} "
                f"replicas and {disk} disks confirmed them within {options.timeout_s:g} s"
            )

    def _forgetful(self, topic: str) -> Unavailable:
        return Unavailable(
            f"redis at {self._options.address} keeps forgetting topic {topic!r}: does something "
            "delete or evict its keys? See maxmemory-policy"
        )


def _step_args(step: Advance, member: bytes) -> list[bytes]:
    return [
        member,
        str(step.partition).encode(),
        step.group.encode(),
        b"%d" % step.partition.index,
        _encode(Noted(step.next, step.ahead)),
        before(step.next),
        b"%d" % step.next,
    ]
