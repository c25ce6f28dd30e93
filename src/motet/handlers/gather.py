"""Scatter-gather: one request to several branches, one event with what they answered.

```
 topic ─▶ scatter ─▶ NAME.requests ─▶ branch, branch, ... ─▶ NAME.replies ─▶ collect ─▶ to
             └───────── after timeout_s ─▶ NAME.replies ─▶ time_out ──────────────────────┘
```

Scatter, collect, time out and expire are handlers of one group, with one state value per request.
"""

from collections.abc import Callable, Collection
from typing import TypeVar, Unpack

import msgspec

from motet.core.errors import ConfigError
from motet.core.event import NULL, Event
from motet.core.ids import Derived
from motet.core.outcome import Emit
from motet.handlers.drafts import Draft, emit
from motet.handlers.handler import Handler, Options, declare
from motet.handlers.state import State

F = TypeVar("F", bound=Callable[..., object])


class Gathered(msgspec.Struct, frozen=True, rename="camel"):
    """The payload of the aggregate event."""

    request_id: str
    request: msgspec.Raw  # payload of the request
    results: dict[str, msgspec.Raw]  # by branch
    missing: tuple[str, ...]  # branches that had not answered by the timeout
    partial: bool  # whether any is missing


class Reply(msgspec.Struct, frozen=True, rename="camel"):
    """The payload of a branch's answer. A branch in another program sends it too."""

    request_id: str
    branch: str
    result: msgspec.Raw


class Reminder(msgspec.Struct, frozen=True, rename="camel"):
    """The payload of the delayed events that end a gathering and remove it."""

    request_id: str


class Gathering(msgspec.Struct, frozen=True, rename="camel"):
    """What is kept per request."""

    key: str  # of the request, and so of the aggregate
    time: str  # of the request
    request: msgspec.Raw  # its payload; null once the aggregate is out
    waiting: tuple[str, ...]  # branches that have not answered
    results: dict[str, msgspec.Raw] = {}
    done: bool = False  # the aggregate is out
    late: tuple[str, ...] = ()  # branches that answered after that


class ScatterGather:
    """A declared scatter-gather. Add its branches with `branch`.

    Every request has exactly one aggregate. A branch that fails for good is a missing one.
    """

    def __init__(
        self,
        name: str,
        *,
        app: str,
        to: str,
        type: str,
        timeout_s: float,
        retention_s: float,
        elsewhere: Collection[str],
        add: Callable[[Handler], None],
    ) -> None:
        if timeout_s <= 0 or retention_s <= 0:
            raise ConfigError(f"scatter-gather {name!r}: timeout_s and retention_s must be above 0")
        self.name = name
        self.group = f"{app}.{name}"
        self.requests = f"{name}.requests"  # topic: each branch reads it with a group of its own
        self.replies = f"{name}.replies"  # topic: answers and reminders, by request
        self.reply_type = f"{name}.replied"  # event type of an answer
        self._branches = dict.fromkeys(elsewhere)
        self._to = to
        self._type = type
        self._timeout_s = timeout_s
        self._retention_s = retention_s
        self._add = add
        self._aggregate_id = Derived(f"{self.group}/aggregate").id

    def branch(self, name: str, **options: Unpack[Options]) -> Callable[[F], F]:
        """Declare a function as a branch; what it returns is its result, any JSON value.

        It is called like a handler of the request, in a consumer group of its own.

        Raises:
            ConfigError: the branch exists already, or the function is wrong.
        """
        if name in self._branches:
            raise ConfigError(f"scatter-gather {self.name!r} has two branches named {name!r}")

        def reply(result: object, event: Event) -> Draft:
            data = {"requestId": event.id, "branch": name, "result": result}
            return emit(self.replies, data, type=self.reply_type, key=event.id)

        def register(function: F) -> F:
            group = f"{self.group}.{name}"
            handler = declare(
                function, self.requests, None, group=group, options=options, name=name, reply=reply
            )
            self._add(handler)
            self._branches[name] = None
            return function

        return register

    def check(self) -> None:
        """Look at the whole, once everything is declared.

        Raises:
            ConfigError: there is no branch.
        """
        if not self._branches:
            raise ConfigError(f"scatter-gather {self.name!r} has no branches: add one")

    def listen(self, topic: str, type: str | None) -> None:
        """Declare the handlers of the group."""
        kinds = self.reply_type, f"{self.name}.timed_out", f"{self.name}.expired"
        for function, source, kind, key in (
            (self.scatter, topic, type, _own_id),
            (self.collect, self.replies, kinds[0], _request_id),
            (self.time_out, self.replies, kinds[1], _request_id),
            (self.expire, self.replies, kinds[2], _request_id),
        ):
            options: Options = {"state": key}
            self._add(declare(function, source, kind, group=self.group, options=options))

    def scatter(self, event: Event, state: State) -> list[Emit | Draft] | None:
        """Pass a request on to the branches, once, and set its timeout."""
        if state.get(Gathering) is not None:
            return None
        state.put(Gathering(event.key, event.time, event.data, tuple(self._branches)))
        return [Emit(self.requests, event), self._remind("timed_out", event.id, self._timeout_s)]

    def collect(self, reply: Reply, state: State) -> list[Draft] | None:
        """Keep an answer; the last one makes the aggregate."""
        found = state.get(Gathering)
        if found is None or reply.branch not in found.waiting:
            return None  # long gone, a repeat, or nobody we asked
        waiting = tuple(branch for branch in found.waiting if branch != reply.branch)
        if found.done:
            late = (*found.late, reply.branch)
            state.put(msgspec.structs.replace(found, waiting=waiting, late=late))
            return None
        results = {**found.results, reply.branch: reply.result}
        found = msgspec.structs.replace(found, waiting=waiting, results=results)
        if waiting:
            state.put(found)
            return None
        return self._finish(reply.request_id, found, state)

    def time_out(self, reminder: Reminder, state: State) -> list[Draft] | None:
        """Make the aggregate of what is there."""
        found = state.get(Gathering)
        if found is None or found.done:
            return None
        return self._finish(reminder.request_id, found, state)

    def expire(self, reminder: Reminder, state: State) -> None:
        """Forget a request."""
        state.delete()

    def _finish(self, request_id: str, found: Gathering, state: State) -> list[Draft]:
        state.put(msgspec.structs.replace(found, request=NULL, results={}, done=True))
        gathered = Gathered(
            request_id=request_id,
            request=found.request,
            results=found.results,
            missing=found.waiting,
            partial=bool(found.waiting),
        )
        aggregate = emit(
            self._to,
            gathered,
            type=self._type,
            key=found.key,
            id=self._aggregate_id(request_id, found.time, 0),
        )
        return [aggregate, self._remind("expired", request_id, self._retention_s)]

    def _remind(self, what: str, request_id: str, delay_s: float) -> Draft:
        kind = f"{self.name}.{what}"
        return emit(self.replies, Reminder(request_id), type=kind, key=request_id, delay_s=delay_s)


def _own_id(event: Event) -> str:
    return event.id


def _request_id(payload: Reply | Reminder) -> str:
    return payload.request_id
