"""A declared handler: the function, what it listens to, and how it is to be called."""

import inspect
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Literal, TypedDict

import msgspec

from motet.core.errors import ConfigError
from motet.core.event import Event
from motet.core.outcome import Emit, Outcome
from motet.core.schemas import declared
from motet.handlers.drafts import Draft
from motet.handlers.signature import Function, Signature, Source, members, of_event, read
from motet.resilience import RetryPolicy

OnFailure = Literal["park", "skip", "topic"]
DeliveryMode = Literal["store", "transport"]


class Options(TypedDict, total=False):
    """How a function is to be called; every one may be left out."""

    group: str | None  # consumer group; the app's name unless given
    batch: bool  # takes lists; returns None or one result per event
    blocking: bool  # runs in a thread
    state: Function | None  # payload (or Event) to state key or keys; the event's key unless given
    retry: RetryPolicy | None  # one policy per group
    on_failure: OnFailure | None  # do later events of its key wait? one answer per group
    timeout_s: float | None  # seconds; for async and blocking ones
    delivery: DeliveryMode | None  # one mode per group; "store" unless given


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """One function of one consumer group, checked and ready to compile."""

    name: str  # unique in its group; renaming it changes the ids of what it emits
    function: Function
    signature: Signature
    topic: str
    type: str = ""  # an event type, a glob such as "order.*", or "" for all
    group: str
    to: str = ""
    where: Function | None = None
    where_event: bool = False  # `where` takes the Event
    keys: Function | None = None
    keys_event: bool = False  # `keys` takes the Event
    batch: bool = False
    blocking: bool = False
    timeout_s: float | None = None
    retry: RetryPolicy | None = None
    on_failure: OnFailure | None = None
    delivery: DeliveryMode | None = None
    reply: Callable[[object, Event], object] | None = None  # turns a result into what to publish

    @property
    def coroutine(self) -> bool:
        """Whether calling it gives something to await."""
        call = getattr(self.function, "__call__", None)  # noqa: B004  # an object with async __call__
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)

    @property
    def awaited(self) -> bool:
        """Whether it runs elsewhere, or in turns with others."""
        return self.blocking or self.coroutine

    @property
    def stateful(self) -> bool:
        """Whether it has a State parameter."""
        return self.signature.takes(Source.STATE)

    def matches(self, topic: str, event_type: str) -> bool:
        """Whether it handles events of this type on this topic."""
        if topic != self.topic:
            return False
        return not self.type or self.type == event_type or fnmatchcase(event_type, self.type)


def declare(
    function: Function,
    topic: str,
    type: str | None,
    *,
    group: str,
    options: Options,
    name: str = "",
    to: str = "",
    where: Function | None = None,
    reply: Callable[[object, Event], object] | None = None,
) -> Handler:
    """Check a function against its options and return the handler; `group` is the default one.

    A type left out is that of the payload's class; if that has none either, all types match.

    Raises:
        ConfigError: the function or an option is wrong; the message names it.
    """
    name = name or getattr(function, "__name__", "")
    if not name or name == "<lambda>":
        raise ConfigError(f"a handler of {topic!r} has no name of its own; give one with name=")
    if not topic:
        raise ConfigError(f"handler {name!r}: the topic is empty")
    signature = read(function, name, batch=options.get("batch", False))
    keys = options.get("state")
    has_payload = signature.payload is not None
    handler = Handler(
        name=name,
        function=function,
        signature=signature,
        topic=topic,
        type=_type(name, type, signature),
        group=options.get("group") or group,
        to=to,
        where=where,
        where_event=where is not None and of_event(where, name, "where=", payload=has_payload),
        keys=keys,
        keys_event=keys is not None and of_event(keys, name, "state=", payload=has_payload),
        batch=options.get("batch", False),
        blocking=options.get("blocking", False),
        timeout_s=options.get("timeout_s"),
        retry=options.get("retry"),
        on_failure=options.get("on_failure"),
        delivery=options.get("delivery"),
        reply=reply,
    )
    _check_options(handler)
    if reply is None:
        _check_returns(handler)
    return handler


def _type(name: str, given: str | None, signature: Signature) -> str:
    own = declared(signature.payload)
    if not given:
        return own[0] if own else ""
    if own and not fnmatchcase(own[0], given):
        raise ConfigError(
            f"handler {name!r} listens to {given!r}, but its payload is of type {own[0]!r}"
        )
    return given


def _check_options(handler: Handler) -> None:
    name = f"handler {handler.name!r}"
    if handler.blocking and handler.coroutine:
        raise ConfigError(f"{name} is async: leave blocking= out, or make it a plain function")
    if inspect.isasyncgenfunction(handler.function):
        raise ConfigError(f"{name} is an async generator: return a list instead")
    if handler.timeout_s is not None:
        if handler.timeout_s <= 0:
            raise ConfigError(f"{name}: timeout_s is {handler.timeout_s}; it must be above 0")
        if not handler.awaited:
            raise ConfigError(f"{name}: timeout_s needs an async function, or blocking=True")
    if handler.keys is not None and not handler.stateful:
        raise ConfigError(f"{name} has state= but no parameter annotated State")
    if handler.on_failure not in (None, "park", "skip", "topic"):
        raise ConfigError(
            f"{name}: on_failure is {handler.on_failure!r}; allowed: 'park', 'skip', 'topic'"
        )
    if handler.delivery not in (None, "store", "transport"):
        raise ConfigError(
            f"{name}: delivery is {handler.delivery!r}; allowed: 'store', 'transport'"
        )


def _check_returns(handler: Handler) -> None:
    if handler.signature.returns is None:
        return
    for kind in members(handler.signature.returns):
        if problem := _return_problem(kind, handler):
            raise ConfigError(f"handler {handler.name!r} returns {problem}")


def _return_problem(kind: object, handler: Handler) -> str:
    if not isinstance(kind, type) or kind is object:
        return ""  # TypeVars, Any, awaitables: looked at when it returns
    if issubclass(kind, Draft | Emit | Outcome | type(None)):
        return ""
    if issubclass(kind, msgspec.Struct):
        if not handler.to:
            return f"{kind.__name__}, but to= names no topic for it"
        if kind is not Event and declared(kind) is None:
            return f"{kind.__name__}, which has no event type: put @event(...) on it"
        return ""
    if issubclass(kind, str | bytes | int | float | dict):
        return f"{kind.__name__}: return emit(topic, data, type=...), an event, or nothing"
    return ""
