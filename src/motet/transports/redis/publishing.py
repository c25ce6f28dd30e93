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

    async def advance(self, step: Advance, *, member: bytes, was: bytes) -> bytes:
        """Publish what a step emits and note progress, all or nothing; return it as it is noted.

        `was` is how it was noted before. A step whose reply was lost, and that is only now run by
        the server, can so not be repeated by who did not wait for it.

        Raises:
            Fenced: the member does not hold the partition, or progress is not where it was.
            CodecError: an emit could not be read back.
            Unavailable: there was no reply.
        """
        noted = _encode(Noted(step.next, step.ahead))
        args = [*_step_args(step, member, noted), was]
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
            if await self._append(loads, step, args):
                return noted
        raise self._forgetful(", ".join(by_topic))

    async def noted(self, group: str, partition: Partition) -> bytes:
        """Return progress as it is noted; empty: it is not.

        Raises:
            Unavailable: the server does not answer.
        """
        key = self._keys.progress(partition.topic, group)
        value = await self._connection.call(pack((b"HGET", key, partition.index)), object)
        return value if isinstance(value, bytes) else b""

    async def _append(
        self, loads: list[Load], step: Advance | None = None, step_args: Sequence[bytes] = ()
    ) -> bool:
        """Whether it is done; False: the server has forgotten a topic, and nothing was done."""
        partitions, arguments = joined(loads)
        keys = [self._keys.topics, self._keys.news]
        args = list(step_args)
        script: Script = PUBLISH
        if step is not None:
            script = ADVANCE
            keys += self._step_keys(step)
        keys += [self._keys.stream(partition) for partition in partitions]
        args += (b"%d" % len(loads), *(each.topic.encode() for each in loads), *arguments)
        reply = await self._connection.run(script, keys, args, object)
        if step is not None and reply in (0, 1):
            why = "was taken by another member" if reply == 0 else "has moved on meanwhile"
            raise Fenced(f"{step.partition} of {step.group!r} {why}")
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


def progress(value: bytes) -> Progress:
    """Return progress from how it is noted.

    Raises:
        Unavailable: something else was written there.
    """
    try:
        noted = _noted(value)
    except (msgspec.MsgspecError, UnicodeError) as err:
        raise Unavailable(f"a hash of progress has {value[:80]!r}: {err}") from err
    return Progress(next=noted.next, ahead=noted.ahead)


def _step_args(step: Advance, member: bytes, noted: bytes) -> list[bytes]:
    return [
        member,
        str(step.partition).encode(),
        step.group.encode(),
        b"%d" % step.partition.index,
        noted,
        before(step.next),
        b"%d" % step.next,
    ]
