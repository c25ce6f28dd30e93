"""Events on the wire, from `Event`, the way in, and the CloudEvents mapping."""

from functools import partial

import msgspec

from motet.core import cloudevents
from motet.core.codec import encode
from motet.core.envelope import WIRE, Limits
from motet.core.event import Event
from motet.core.ids import IdSource
from motet.core.intake import Intake
from scripts.reference.source import code, fields, fields_table, table

_LEFT_OUT = {
    "id": "one is made: a UUID of version 7, in order of time",
    "type": "refused: it is the one member that has to be there",
    "time": "now",
    "key": "`payload.sessionId` if that is a string, else the event's id",
    "source": "empty",
    "schema_version": "1",
    "schema": "empty",
    "correlation_id": "empty",
    "causation_id": "empty",
    "data": "`null`",
    "metadata": "none",
    "references": "none",
}
_TYPES = {
    "time": "string, RFC 3339 with an offset",
    "schema_version": "integer from 1",
    "data": "any JSON value",
    "metadata": "object",
    "references": "object",
}
_GIVEN = b"""{
  "eventType": "user.message.received",
  "timestamp": "2026-05-25T10:15:30.5+02:00",
  "tenant": "north",
  "payload": {"sessionId": "session-42", "text": "Where is my order?"}
}"""


class _Fixed:
    """A clock that stands still, so that the page stays as it is."""

    def now_us(self) -> int:
        return 1_779_697_000_000_000

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, delay_s: float) -> None:
        """Nobody waits here."""

    def random(self) -> float:
        return 0.5


def _envelope() -> str:
    rows = [
        (
            code(WIRE[field.name]),
            code(f"Event.{field.name}"),
            _TYPES.get(field.name, "string"),
            field.comment,
            _LEFT_OUT[field.name],
        )
        for field in fields(Event)
    ]
    return table(("member", "in code", "type", "what it is", "left out"), rows)


def _example() -> str:
    clock = _Fixed()
    taken = Intake(clock, ids=IdSource(clock, entropy=bytes(16))).event(_GIVEN)
    kept = msgspec.json.format(encode(taken), indent=2).decode()
    return f"```json\n{_GIVEN.decode()}\n```\n\n```json\n{kept}\n```"


def _mapping() -> str:
    return (cloudevents.__doc__ or "").partition("\n\n")[2]


PARTS = {
    "envelope": _envelope,
    "event example": _example,
    "event limits": partial(fields_table, Limits),
    "CloudEvents mapping": _mapping,
}
