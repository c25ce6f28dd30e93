"""From a request's bytes to events, or to an answer that names what is none."""

import asyncio
import re
from collections.abc import Mapping, Sequence

import msgspec

from motet.core.codec import explain
from motet.core.event import Event
from motet.core.intake import Intake, Refusal
from motet.core.ports import Clock
from motet.server.problems import Item, ProblemError

_LONG_BODY = 128 * 1024  # bytes; decoding more would hold up the event loop for milliseconds
_LONGEST_TEXT = 500  # characters of a path or a message, which may quote what was sent
_LINES = re.compile(r"ndjson|jsonl|json-lines", re.IGNORECASE)


class _Skimmed(msgspec.Struct, gc=False):
    """An item of which nothing is read."""


_skim = msgspec.json.Decoder(list[_Skimmed]).decode


class RefusedError(Exception):
    """Items of a request are no events; none of it is taken. `problem` names each."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(f"{len(refusals)} items are no events")
        self.refusals = refusals
        self.problem = _problem(refusals)


def _problem(refusals: Sequence[Refusal]) -> ProblemError:
    if refusals[0].error.where == "header content-type":
        return ProblemError(415, _clip(str(refusals[0].error)))
    # A JSON path means that it was JSON; a position in the bytes that it was not.
    status = 422 if any(refusal.error.where[:1] == "$" for refusal in refusals) else 400
    what = "1 item is no event" if len(refusals) == 1 else f"{len(refusals)} items are no events"
    return ProblemError(
        status,
        f"{what}; nothing of this request was taken.",
        kind="refused-events",
        errors=[
            Item(refusal.index, _clip(refusal.error.where), _clip(str(refusal.error)))
            for refusal in refusals
        ],
    )


def _clip(text: str) -> str:
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}..."
    return text.encode(errors="replace").decode()  # half a surrogate pair has no JSON form


class Decoder:
    """Reads bodies of up to `events_per_request` events; long ones in a thread, one at a time."""

    def __init__(self, clock: Clock, *, events_per_request: int) -> None:
        self._most = events_per_request
        self._intake = Intake(clock)
        self._intake_of_threads = Intake(clock)  # a source of ids is for one thread at a time
        self._long = asyncio.Lock()

    async def events(self, headers: Mapping[str, str], body: bytes) -> tuple[Event, ...]:
        """Return the events of a request in order.

        Raises:
            RefusedError: at least one item is no event.
            ProblemError: 413 more items than may come at once, 415 an encoding.
        """
        encoding = headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in ("", "identity"):
            raise ProblemError(415, f"The content encoding is {_clip(encoding)!r}; send it plain.")
        if len(body) <= _LONG_BODY:
            return self._read(self._intake, headers, body)
        async with self._long:
            return await asyncio.to_thread(self._read, self._intake_of_threads, headers, body)

    def _read(self, intake: Intake, headers: Mapping[str, str], body: bytes) -> tuple[Event, ...]:
        # A body of a million empty items would otherwise become a million refusals.
        if _LINES.search(headers.get("content-type", "")):
            self._check_count(body.count(b"\n") + (not body.endswith(b"\n")))
        elif body.count(b",") >= self._most and body.lstrip()[:1] == b"[":
            self._check_count(_count_items(body))
        taken = intake.request(headers, body)
        if taken.refusals:
            raise RefusedError(taken.refusals)
        return taken.events

    def _check_count(self, count: int) -> None:
        if count > self._most:
            raise ProblemError(
                413,
                f"{count} items in one request; at most {self._most}. Send several requests.",
                kind="too-many-items",
            )


def _count_items(body: bytes) -> int:
    try:
        return len(_skim(body))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as err:
        raise RefusedError([Refusal(-1, explain(err, body))]) from err
