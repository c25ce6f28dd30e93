"""Progress kept on the broker: for each group and partition a small stream, its last entry."""

import msgspec
from pamqp import commands

from motet.core.event import Partition
from motet.core.ports import Advance, Progress
from motet.drivers.amqp import PLAIN, Channel, Frames, Link, Publisher, StreamReader
from motet.transports.rabbitmq.edges import edges
from motet.transports.rabbitmq.names import Names

_SEGMENT_BYTES = 1_000_000
_MOST_BYTES = 4_000_000  # some 40,000 entries; marks alone are written so often in a month
_BACK = 100  # newest entries that are looked at first


class _Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    next: int = 0
    ahead: tuple[int, ...] = ()
    mark: bool = False  # written by each process at first: a stream that may be empty never says so


class ProgressStreams:
    """Reads and writes progress. Reading disturbs nobody: a stream's entries are not taken."""

    def __init__(self, names: Names, *, reads: Link, writes: Publisher) -> None:
        self._names = names
        self._reads = reads
        self._writes = writes
        self._declared: set[str] = set()

    async def read(self, group: str, partition: Partition) -> Progress:
        """Return the last entry; all defaults if there is none."""
        name = self._names.progress(group, partition)
        channel = await self._reads.channel()
        try:
            await self._declare(channel, name)
            end = max((await edges(channel, [name], "last", sure=[name]))[name]) + 1
        finally:
            await channel.close()
        for back in (_BACK, 100 * _BACK, end):
            entries = await self._entries(name, max(0, end - back), end)
            if entries:
                return Progress(next=entries[-1].next, ahead=entries[-1].ahead)
        return Progress()

    async def _entries(self, name: str, start: int, end: int) -> list[_Entry]:
        channel = await self._reads.channel()
        try:
            reader = StreamReader(channel, name)
            reader.seek(start)
            found = await reader.upto(end, end - start)
        finally:
            await channel.close()
        entries = [msgspec.json.decode(each.body, type=_Entry) for each in found]
        return [entry for entry in entries if not entry.mark]

    async def note(self, step: Advance) -> None:
        """Write an entry; durable on return."""
        name = self._names.progress(step.group, step.partition)
        if name not in self._declared:  # by nobody's `read` in this process
            channel = await self._reads.channel()
            try:
                await self._declare(channel, name)
            finally:
                await channel.close()
        await self._write(name, _Entry(step.next, step.ahead))

    async def _write(self, name: str, entry: _Entry) -> None:
        value = msgspec.json.encode(entry)

        def pack(channel: Channel) -> Frames:
            return [channel.route("", name, PLAIN).pack(value)], [("", name)]

        await self._writes.publish(pack)

    async def _declare(self, channel: Channel, name: str) -> None:
        if name in self._declared:
            return
        await channel.call(
            commands.Queue.Declare(
                queue=name,
                durable=True,
                arguments={
                    "x-queue-type": "stream",
                    "x-max-length-bytes": _MOST_BYTES,
                    "x-stream-max-segment-size-bytes": _SEGMENT_BYTES,
                },
            )
        )
        await self._write(name, _Entry(mark=True))
        self._declared.add(name)
