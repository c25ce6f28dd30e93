"""A handler made ready for one event type: how its arguments are found and how it is called."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial

import msgspec

from motet.core.errors import HandlerError
from motet.core.event import Event, Record
from motet.core.schemas import PayloadDecoder, Schemas
from motet.handlers.checks import PLACE_CHARS, fits, text
from motet.handlers.context import Context
from motet.handlers.handler import Handler
from motet.handlers.perform import perform
from motet.handlers.results import Stamper
from motet.handlers.signature import Function, Signature, Source
from motet.handlers.state import State


class Call(msgspec.Struct, frozen=True, gc=False):
    """One handler's share of one record, ready to be called."""

    step: "Step"
    record: Record
    payload: object
    keys: tuple[str, ...]  # state keys


class Misaligned(HandlerError):
    """A batch handler returned something other than one result per record."""


Pick = Callable[[Call, State | None, Context | None], object]
PickAll = Callable[[Sequence[Call], State | None, Context | None], object]

_PICKS: Mapping[Source, Pick] = {
    Source.PAYLOAD: lambda call, state, context: call.payload,
    Source.EVENT: lambda call, state, context: call.record.event,
    Source.RECORD: lambda call, state, context: call.record,
    Source.STATE: lambda call, state, context: state,
    Source.CONTEXT: lambda call, state, context: context,
}
_PICKS_ALL: Mapping[Source, PickAll] = {
    Source.PAYLOAD: lambda calls, state, context: [call.payload for call in calls],
    Source.EVENT: lambda calls, state, context: [call.record.event for call in calls],
    Source.RECORD: lambda calls, state, context: [call.record for call in calls],
    Source.STATE: lambda calls, state, context: state,
    Source.CONTEXT: lambda calls, state, context: context,
}
# The usual parameter lists, without a loop over them.
_SHAPES: Mapping[tuple[Source, ...], Callable[[Function], Pick]] = {
    (Source.PAYLOAD, Source.STATE): lambda f: lambda call, state, _: f(call.payload, state),
    (Source.EVENT, Source.STATE): lambda f: lambda call, state, _: f(call.record.event, state),
    (Source.PAYLOAD, Source.EVENT, Source.STATE): (
        lambda f: lambda call, state, _: f(call.payload, call.record.event, state)
    ),
    (Source.PAYLOAD,): lambda f: lambda call, state, _: f(call.payload),
    (Source.EVENT,): lambda f: lambda call, state, _: f(call.record.event),
}


class Step:
    """A handler for one event type."""

    __slots__ = (
        "_awaited",
        "_executor",
        "_keys",
        "_where",
        "call",
        "contextual",
        "decode",
        "handler",
        "plain",
        "replies",
        "stamper",
        "stateful",
    )

    def __init__(
        self,
        handler: Handler,
        event_type: str,
        *,
        stamper: Stamper,
        schemas: Schemas,
        executor: Executor | None,
    ) -> None:
        signature = handler.signature
        wants_payload = signature.payload is not None
        self.handler = handler
        self.stamper = stamper
        self.stateful = handler.stateful
        self.contextual = signature.takes(Source.CONTEXT)
        self.decode = schemas.decoder(signature.payload, event_type) if wants_payload else None
        self.replies = handler.reply is not None  # also when the result is None
        self.plain = _plain(handler, self.decode)
        self.call = _caller(handler.function, signature)
        self._awaited = handler.awaited
        self._where = handler.where
        self._keys = handler.keys
        self._executor = executor

    def prepare(self, record: Record) -> Call | None:
        """Decode, filter and find the state keys; None: the filter says no.

        Raises:
            CodecError: the payload is not what the handler wants.
            HandlerError: a state key is no text.
        """
        event = record.event
        payload = None if self.decode is None else self.decode(event)
        where = self._where
        if where is not None and not where(event if self.handler.where_event else payload):
            return None
        keys: tuple[str, ...] = ()
        if self.stateful:
            choose = self._keys
            keys = (event.key,) if choose is None else _chosen(choose, self.handler, event, payload)
        return Call(self, record, payload, keys)

    def afresh(self, call: Call) -> Call:
        """Return a call with its payload decoded again: a handler may have changed the first one.

        Raises:
            CodecError: as in `prepare`.
        """
        if self.decode is None:
            return call
        return Call(self, call.record, self.decode(call.record.event), call.keys)

    async def wait(self, call: Call, state: State | None, context: Context | None) -> object:
        """Call any function with one record and wait for it.

        Raises:
            TimeoutError: it took longer than the handler's `timeout_s`. What runs in a thread
                goes on there; its result is dropped.
        """
        if not self._awaited:
            return self.call(call, state, context)
        return await perform(partial(self.call, call, state, context), self.handler, self._executor)

    async def wait_all(
        self, calls: Sequence[Call], state: State | None, context: Context | None
    ) -> Sequence[object]:
        """Call a batch handler and return one result per record.

        Raises:
            Misaligned: it returned something else.
            TimeoutError: as in `wait`.
        """
        signature = self.handler.signature
        args = [_PICKS_ALL[source](calls, state, context) for source in signature.positional]
        named = {
            name: _PICKS_ALL[source](calls, state, context) for name, source in signature.named
        }
        bound = partial(self.handler.function, *args, **named)
        handler = self.handler
        result = await perform(bound, handler, self._executor) if self._awaited else bound()
        return _aligned(self.handler.name, result, len(calls))


def _aligned(name: str, result: object, count: int) -> Sequence[object]:
    if result is None:
        return [None] * count
    if isinstance(result, Iterator):
        result = list(result)
    if isinstance(result, list | tuple) and len(result) == count:
        return result
    found = f"{len(result)} results" if isinstance(result, list | tuple) else type(result).__name__
    raise Misaligned(
        f"batch handler {name!r} returned {found} for {count} events: "
        "return None, or a list with one result per event, in order",
        retryable=False,
    )


def _chosen(choose: Function, handler: Handler, event: Event, payload: object) -> tuple[str, ...]:
    keys = choose(event if handler.keys_event else payload)
    if fits(keys, PLACE_CHARS):
        return (keys,)  # type: ignore[return-value]  # what fits is a str
    if isinstance(keys, str):
        return (_state_key(keys, handler),)
    if isinstance(keys, Iterable):
        return tuple(_state_key(key, handler) for key in keys)
    raise HandlerError(
        f"handler {handler.name!r}: state= gave a {type(keys).__name__}: "
        "return a key as text, or several",
        retryable=False,
    )


def _state_key(key: object, handler: Handler) -> str:
    return text(key, "what state= gave", who=handler.name, chars=PLACE_CHARS)


def _caller(function: Function, signature: Signature) -> Pick:
    """Return how to call a function with what its parameters want."""
    if not signature.named and signature.positional in _SHAPES:
        return _SHAPES[signature.positional](function)
    picks = [_PICKS[source] for source in signature.positional]
    named = {name: _PICKS[source] for name, source in signature.named}

    def call(call: Call, state: State | None, context: Context | None) -> object:
        return function(
            *[pick(call, state, context) for pick in picks],
            **{name: pick(call, state, context) for name, pick in named.items()},
        )

    return call


def takes_short_way(handler: Handler) -> bool:
    """Whether a handler needs nothing but payload and event, and nothing to wait for."""
    return _plain(handler, lambda event: None) is not None


def _plain(handler: Handler, decode: PayloadDecoder | None) -> Callable[[Event], object] | None:
    """Return the shortest way to call a handler that needs nothing but payload and event."""
    signature = handler.signature
    if handler.awaited or handler.batch or handler.reply or signature.named:
        return None
    called = _called(handler.function, signature.positional, decode)
    where = handler.where
    if called is None or where is None:
        return called
    if handler.where_event:
        return lambda event: called(event) if where(event) else None
    if decode is not None and signature.positional == (Source.PAYLOAD,):
        function = handler.function

        def filtered(event: Event) -> object:
            payload = decode(event)
            return function(payload) if where(payload) else None

        return filtered
    return None


def _called(
    function: Function, sources: tuple[Source, ...], decode: PayloadDecoder | None
) -> Callable[[Event], object] | None:
    if sources == (Source.EVENT,):
        return function
    if decode is None:
        return None
    if sources == (Source.PAYLOAD,):
        return lambda event: function(decode(event))
    if sources == (Source.PAYLOAD, Source.EVENT):
        return lambda event: function(decode(event), event)
    if sources == (Source.EVENT, Source.PAYLOAD):
        return lambda event: function(event, decode(event))
    return None
