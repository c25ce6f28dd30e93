"""`motet publish`: events from a file or a pipe into a topic."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from motet.bridges import Key, document
from motet.cli.console import Console
from motet.cli.lines import Line, Lines, batches
from motet.cli.options import DEFAULTS, Flag, Options, command
from motet.cli.tables import counted, size
from motet.core.clock import SystemClock
from motet.core.errors import CodecError, HandlerError, MotetError
from motet.core.event import Event
from motet.core.intake import Intake
from motet.core.outcome import DeadLetter, ErrorInfo
from motet.core.ports import Clock, Store, Transport
from motet.core.topics import check_topic

app = command("publish")

_BATCH = 1000  # lines; one durable append each
_NAMED = 20  # refused lines named one by one; the rest are counted


class RefusedLine(msgspec.Struct, frozen=True):
    """A line that is no event."""

    line: int  # 1-based
    where: str  # JSON path or byte position; empty: the whole line
    error: str


class Published(msgspec.Struct, kw_only=True):
    """What became of the lines."""

    topic: str
    events: int = 0  # lines that were events
    published: int = 0  # of these, new to the topic
    duplicates: int = 0  # of these, in the topic already
    refused: int = 0  # lines that were not
    size_bytes: int = 0  # read
    duration_s: float = 0.0
    events_per_s: float = 0.0
    refused_lines: list[RefusedLine] = []  # the first of them


@app.default
async def publish(
    topic: str,
    file: str = "-",
    /,
    *,
    key_by: str | None = None,
    strict: Annotated[bool, Flag] = False,
    options: Options = DEFAULTS,
) -> int:
    """Publish JSON lines: events in the article's envelope, or CloudEvents.

    An event that the topic has already (by its id) is passed over, so it is safe to publish a
    file again. A line that is no event is named and goes to the dead letters as it is; the others
    are published, and the exit code is 1.

    Example: motet publish orders purchases.jsonl

    JSON: one document: topic, events, published, duplicates, refused, size_bytes, duration_s,
    events_per_s, refused_lines (the first 20: line, where, error).

    Args:
        topic: The topic; it is created if there is none.
        file: The file to read; - is standard input.
        key_by: Key of the events: session, type, or a JMESPath expression; null keeps what it is.
        strict: Stop at the first line that is no event. Nothing after it is published, and it is
            not put among the dead letters.
    """
    check_topic(topic)
    console = options.console()
    key = None if key_by is None else Key(key_by)
    with _opened(file) as (source, total_bytes):
        async with options.connect(make=True) as backends:
            publishing = Publishing(
                backends.transport, backends.store, SystemClock(), topic, key=key
            )
            with console.progress(f"to {topic}", total_bytes=total_bytes) as advance:
                async for lines in batches(source, most=_BATCH):
                    _name(console, await publishing.publish(lines, strict=strict), publishing.done)
                    advance(lines.size_bytes)
                    if strict and publishing.done.refused:
                        break
    _report(console, publishing.finish(), strict=strict)
    return 1 if publishing.done.refused else 0


class Publishing:
    """Takes lines in and counts what becomes of them."""

    def __init__(
        self,
        transport: Transport,
        store: Store,
        clock: Clock,
        topic: str,
        *,
        key: Key | None = None,
    ) -> None:
        self._transport = transport
        self._store = store
        self._clock = clock
        self._intake = Intake(clock)
        self._key = key
        self._began_s = clock.monotonic_s()
        self.done = Published(topic=topic)

    async def publish(self, lines: Lines, *, strict: bool) -> Sequence[RefusedLine]:
        """Publish the lines that are events, put the others among the dead letters.

        With `strict`, only what comes before the first that is none, and that one is left where
        it is. Both are durable on return. Returns the lines refused.
        """
        events: list[Event] = []
        refused: list[tuple[Line, CodecError]] = []
        for line in lines.lines:
            try:
                events.append(self._event(line.value))
            except CodecError as err:
                refused.append((line, err))
                if strict:
                    break
        if events:
            self.done.published += await self._transport.publish(self.done.topic, events)
            self.done.events += len(events)
        if refused and not strict:
            await self._store.dead_letters.add([self._letter(*each) for each in refused])
        self.done.refused += len(refused)
        self.done.size_bytes += lines.size_bytes
        return [RefusedLine(line.number, err.where, str(err)) for line, err in refused]

    def finish(self) -> Published:
        """Return the counts, with how long it took."""
        done = self.done
        done.duplicates = done.events - done.published
        done.duration_s = round(self._clock.monotonic_s() - self._began_s, 3)
        done.events_per_s = round(done.events / max(done.duration_s, 1e-3), 1)
        return done

    def _event(self, value: bytes) -> Event:
        event = self._intake.event(value)
        if self._key is None:
            return event
        try:
            return self._key.of(document(event), event)
        except HandlerError as err:
            raise CodecError(str(err), value=value) from err

    def _letter(self, line: Line, err: CodecError) -> DeadLetter:
        message = f"line {line.number}: {_placed(err.where, str(err))}"
        return DeadLetter(
            topic=self.done.topic,
            partition=-1,
            offset=-1,
            group="",
            event_type="",
            key="",
            value=line.value,
            error=ErrorInfo(code=type(err).__name__, message=message),
            first_failed_us=self._clock.now_us(),
        )


@contextmanager
def _opened(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open the input; with its size, where it has one."""
    if name == "-":
        yield sys.stdin.buffer, None
        return
    path = Path(name)
    try:
        file = path.open("rb", buffering=0)
    except OSError as err:
        raise MotetError(
            f"cannot read {name!r}: {err.strerror}; give a file of JSON lines, or - for "
            "standard input"
        ) from err
    with file:
        yield file, (path.stat().st_size if path.is_file() else None)


def _name(console: Console, refused: Sequence[RefusedLine], done: Published) -> None:
    for line in refused:
        if len(done.refused_lines) == _NAMED:
            return
        done.refused_lines.append(line)
        console.note(f"line {line.line}: {_placed(line.where, line.error)}")


def _report(console: Console, done: Published, *, strict: bool) -> None:
    console.document(done)
    console.text(
        f"{counted(done.published, 'event')} published to {done.topic} "
        f"({size(done.size_bytes)} in {done.duration_s:.1f} s)"
    )
    if done.duplicates:
        console.text(f"{counted(done.duplicates, 'duplicate')} passed over")
    if not done.refused:
        return
    if strict:
        line = done.refused_lines[0].line
        console.error(
            f"stopped at line {line}, which is no event; correct it and publish the file again: "
            "what is in the topic already is passed over"
        )
        return
    more = done.refused - len(done.refused_lines)
    named = f" ({more:,} not named)" if more else ""
    console.error(
        f"{counted(done.refused, 'line')} refused{named}; see `motet dlq list --topic "
        f"{done.topic}`, correct and publish them again"
    )


def _placed(where: str, message: str) -> str:
    return f"{where}: {message}" if where else message
