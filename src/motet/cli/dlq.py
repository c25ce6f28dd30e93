"""`motet dlq`: what failed for good, and what to do about it."""

import os
from functools import partial
from typing import Annotated

from cyclopts import Parameter

from motet.cli.choices import Choice, Done
from motet.cli.console import Console
from motet.cli.letters import (
    Filter,
    StatusName,
    chosen,
    parse_ids,
    parse_status,
)
from motet.cli.options import DEFAULTS, Options, command
from motet.cli.tables import Column, counted, visible
from motet.core.clock import SystemClock
from motet.core.errors import ConfigError
from motet.views import DeadLetterView, view_dead_letter

app = command("dlq")
app.help = "List, show, redrive and archive dead letters.\n\nExample: motet dlq list"

_COLUMNS = (
    Column("ID", right=True),
    Column("STATUS"),
    Column("FROM", wide=True),
    Column("GROUP", wide=True),
    Column("CODE", wide=True),
    Column("MESSAGE", wide=True),
)
_EDGE = "(edge)"  # stands for the group of what was refused before it was in the log

NOTHING = Choice()


@app.command(name="list", sort_key=1)
async def list_letters(
    *,
    topic: str | None = None,
    group: str | None = None,
    code: str | None = None,
    status: StatusName | None = None,
    after: int = 0,
    count: Annotated[int, Parameter(name="-n", metavar="COUNT")] = 50,
    options: Options = DEFAULTS,
) -> None:
    """List dead letters, oldest first.

    Example: motet dlq list --topic orders --status new

    JSON: one document: dead_letters (id, dlq_id, status, topic, partition, offset, group,
    event_type, key, error_info, retry_count, first_failed_at, created_at, reviewed_by,
    reviewed_at, resolution_notes) and next: give it as --after for what follows; null: the end.

    Args:
        topic: Only of this topic.
        group: Only of this consumer group.
        code: Only with this error code, such as TimeoutError.
        status: Only with this status.
        after: Only ids above this one.
        count: How many.
    """
    if count < 1:
        raise ConfigError(f"-n {count}: a number of dead letters is 1 or more")
    console = options.console()
    wanted = Filter(topic, group, code, parse_status(status))
    async with options.connect() as backends:
        found = await wanted.page(backends.store.dead_letters, after=after, limit=count + 1)
    letters = [view_dead_letter(letter, whole=False) for letter in found[:count]]
    following = letters[-1].id if len(found) > count else None
    console.document({"dead_letters": letters, "next": following})
    if not letters:
        console.text("There are no such dead letters.")
        return
    console.table(_COLUMNS, [_row(letter) for letter in letters])
    if following is not None:
        console.text(f"More: add --after {following}")


@app.command(name="show", sort_key=2)
async def show(id: str, /, *, options: Options = DEFAULTS) -> None:
    """Show one dead letter whole: the error, the stack trace, the event as it came.

    Example: motet dlq show 17

    JSON: one document, as in `motet dlq list`, with original_event: the event, or base64 where
    the bytes are no JSON.

    Args:
        id: The number `motet dlq list` shows.
    """
    console = options.console()
    async with options.connect() as backends:
        found = await chosen(backends.store.dead_letters, parse_ids([id]))
    letter = view_dead_letter(found[0], whole=True)
    console.document(letter)
    for name, said in _details(letter):
        console.text(f"{name:<12}{visible(said)}")
    if letter.error_info.stack:
        console.text()
        for line in letter.error_info.stack.splitlines():
            console.text(visible(line))
    console.text()
    console.text(visible(found[0].letter.value.decode("utf-8", "backslashreplace")))


@app.command(name="redrive", sort_key=3)
async def redrive(*ids: str, choice: Choice = NOTHING, options: Options = DEFAULTS) -> int:
    """Hand dead letters back to the consumer group that failed, for another try.

    Only open ones (new, reviewed). What was refused at the edge, or is no event, no group can
    take: correct it and publish it again.

    Example: motet dlq redrive --group inventory --code TimeoutError

    JSON: one document: redriven, left (open, but nothing a group can take), closed (redriven or
    archived before).

    Args:
        ids: The numbers `motet dlq list` shows.
    """
    console = options.console()
    numbers = parse_ids(ids)
    choice.check(numbers)
    if not choice.confirmed(console, "redrive"):
        return 1
    now_us = SystemClock().now_us()
    async with options.connect() as backends:
        letters = backends.store.dead_letters
        act = partial(letters.redrive, by=_user(), now_us=now_us)
        done = await choice.apply(letters, numbers, act, now_us=now_us)
    console.document({"redriven": done.done, "left": done.left, "closed": done.closed})
    console.text(f"{counted(done.done, 'dead letter')} redriven.")
    if done.done:
        console.text("`motet groups` shows what is parked, `motet dlq list` what fails again.")
    if done.left:
        console.text(
            f"{counted(done.left, 'dead letter')} left: nothing a group can take; correct and "
            "publish again (`motet dlq show ID`)."
        )
    _say_closed(console, done)
    return 0


@app.command(name="archive", sort_key=4)
async def archive(
    *ids: str, choice: Choice = NOTHING, notes: str = "", options: Options = DEFAULTS
) -> int:
    """Close dead letters without another try. They stay to be looked at.

    Example: motet dlq archive 17 18 --notes 'test orders'

    JSON: one document: archived, closed (redriven or archived before).

    Args:
        ids: The numbers `motet dlq list` shows.
        notes: Why; kept with them.
    """
    console = options.console()
    numbers = parse_ids(ids)
    choice.check(numbers)
    if not choice.confirmed(console, "archive"):
        return 1
    now_us = SystemClock().now_us()
    async with options.connect() as backends:
        letters = backends.store.dead_letters
        act = partial(letters.archive, by=_user(), notes=notes, now_us=now_us)
        done = await choice.apply(letters, numbers, act, now_us=now_us)
    console.document({"archived": done.done, "closed": done.closed})
    console.text(f"{counted(done.done, 'dead letter')} archived.")
    _say_closed(console, done)
    return 0


def _say_closed(console: Console, done: Done) -> None:
    if done.closed:
        console.text(f"{counted(done.closed, 'dead letter')} left: closed already.")


def _row(letter: DeadLetterView) -> tuple[object, ...]:
    return (
        letter.id,
        letter.status.value,
        _place(letter),
        letter.group or _EDGE,
        letter.error_info.code,
        letter.error_info.message,
    )


def _place(letter: DeadLetterView) -> str:
    if letter.offset < 0:
        return letter.topic
    return f"{letter.topic}/{letter.partition}@{letter.offset}"


def _details(letter: DeadLetterView) -> list[tuple[str, str]]:
    reviewed = f"{letter.reviewed_at} by {letter.reviewed_by}" if letter.reviewed_at else ""
    found = [
        ("id", f"{letter.id} ({letter.dlq_id})"),
        ("status", letter.status.value),
        ("from", _place(letter)),
        ("group", letter.group or _EDGE),
        ("type", letter.event_type),
        ("key", letter.key),
        ("error", f"{letter.error_info.code}: {letter.error_info.message}"),
        ("tries", str(letter.retry_count + 1)),
        ("failed", letter.first_failed_at or ""),
        ("dead since", letter.created_at),
        ("reviewed", reviewed),
        ("notes", letter.resolution_notes),
    ]
    return [(name, said) for name, said in found if said]


def _user() -> str:
    """Return who is at work, for `reviewed_by`."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid {os.getuid()}"
