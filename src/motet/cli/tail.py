"""`motet tail`: a topic's events, the last ones or as they come."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from cyclopts import Parameter

from motet.cli.console import Console
from motet.cli.options import DEFAULTS, Flag, Options, command, named_topic
from motet.cli.reading import Entry, Reader, Wanted, last
from motet.cli.tables import cut, visible
from motet.core.errors import ConfigError
from motet.core.event import Event, Partition
from motet.core.ports import TopicInfo, Transport

app = command("tail")

_DEFAULT_COUNT = 10
_WAIT_S = 1.0  # how soon it is noticed that the reader of our output has gone

From = Literal["start", "end"] | int


@app.default
async def tail(
    topic: str,
    /,
    *,
    follow: Annotated[bool, Flag, Parameter(alias="-f")] = False,
    start: Annotated[From | None, Parameter(name="--from", metavar="OFFSET")] = None,
    partition: int | None = None,
    type: str | None = None,
    count: Annotated[int | None, Parameter(name="-n", metavar="COUNT")] = None,
    options: Options = DEFAULTS,
) -> None:
    """Show a topic's events in order of time; those of one partition in order of offset.

    Without --from it shows the last 10, or the last -n. With --from it shows all from there, or
    ends after -n, followed ones included. Joins no consumer group and changes nothing.

    Example: motet tail orders --type 'order.*' --follow

    JSON: a stream of lines: topic, partition, offset, event (as published); for bytes in the log
    that are no event, error and base64 instead of event.

    Args:
        topic: The topic.
        follow: Go on with what is published from now on, until Ctrl-C.
        start: An offset, start (the oldest kept) or end (what is published from now on).
        partition: Only this partition.
        type: Only events of this type; * stands for anything.
        count: How many events.
    """
    console = options.console()
    if count is not None and count < 0:
        raise ConfigError(f"-n {count}: a number of events is 0 or more")
    if isinstance(start, int) and start < 0:
        raise ConfigError(f"--from {start}: an offset is 0 or more; -n shows the last")
    async with options.connect() as backends:
        info = named_topic(topic, list(await backends.transport.topics()))
        tailing = Tailing(console, backends.transport, info, partition, _matching(type))
        if start is None:
            await tailing.show_last(_DEFAULT_COUNT if count is None else count)
        else:
            await tailing.show_from(start, count)
        if follow:
            await tailing.follow()


class Tailing:
    """Shows a topic's entries; remembers how far."""

    def __init__(
        self,
        console: Console,
        transport: Transport,
        info: TopicInfo,
        partition: int | None,
        wanted: Wanted,
    ) -> None:
        self._console = console
        self._transport = transport
        self._wanted = wanted
        self._ends = _ends(info, partition)
        self._starts = {place: info.starts[place.index] for place in self._ends}
        self._positions: Mapping[Partition, int] = self._ends  # where to go on
        self._left: int | None = None  # entries still to be shown; None: no limit

    async def show_last(self, count: int) -> None:
        """Show the latest `count` entries that are there."""
        for entry in await last(
            self._transport, self._starts, self._ends, count=count, wanted=self._wanted
        ):
            self._show(entry)

    async def show_from(self, start: From, count: int | None) -> None:
        """Show what is there from `start` on, `count` entries at most, followed ones included."""
        self._left = count
        if start != "end":
            begin = 0 if start == "start" else start
            self._positions = {at: max(begin, first) for at, first in self._starts.items()}
            await self._show_new(self._ends)

    async def follow(self) -> None:
        """Show what comes, until the limit is reached or nobody reads any more."""
        while self._left != 0 and not self._console.reader_gone():
            await self._show_new(None)
            self._console.flush()
            if self._left != 0:
                await self._transport.changed(_WAIT_S)

    async def _show_new(self, ends: Mapping[Partition, int] | None) -> None:
        reader = Reader(self._transport, self._positions, wanted=self._wanted)
        if self._left == 0:
            return
        async for entry in reader.entries(ends):
            self._show(entry)
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    break
        self._positions = reader.positions

    def _show(self, entry: Entry) -> None:
        self._console.record(_document(entry))
        line = visible(f"{entry.partition}@{entry.offset}  {_said(entry)}")
        self._console.text(cut(line, self._console.width))


def _ends(info: TopicInfo, partition: int | None) -> dict[Partition, int]:
    if partition is not None and not 0 <= partition < info.partitions:
        raise ConfigError(
            f"{info.name!r} has no partition {partition}; it has 0 to {info.partitions - 1}"
        )
    chosen = range(info.partitions) if partition is None else [partition]
    return {Partition(info.name, index): info.ends[index] for index in chosen}


def _matching(type: str | None) -> Wanted:
    def wanted(event: Event) -> bool:
        return type is None or fnmatchcase(event.type, type)

    return wanted


def _document(entry: Entry) -> dict[str, object]:
    found: dict[str, object] = {
        "topic": entry.partition.topic,
        "partition": entry.partition.index,
        "offset": entry.offset,
    }
    if entry.broken is not None:
        return {**found, "error": entry.broken.error, "base64": entry.broken.value}
    return {**found, "event": entry.event}


def _said(entry: Entry) -> str:
    if entry.event is None:
        return f"no event: {entry.broken.error if entry.broken else 'nothing there'}"
    event = entry.event
    return f"{event.time}  {event.type}  {event.key}  {bytes(event.data).decode()}"
