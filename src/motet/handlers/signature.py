"""What a function's annotations say: read once, when it is declared."""

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum

import msgspec
import msgspec.inspect

from motet.core.errors import ConfigError
from motet.core.event import Event, Record
from motet.handlers.context import Context
from motet.handlers.state import State

Function = Callable[..., object]

_ALLOWED = "Event, Record, Context, State, or the payload's class"
_ALLOWED_BATCH = "list[Event], list[Record], list of the payload's class, Context or State"


class Source(Enum):
    """Where an argument comes from."""

    PAYLOAD = "payload"
    EVENT = "event"
    RECORD = "record"
    CONTEXT = "context"
    STATE = "state"


_SOURCES: Mapping[object, Source] = {
    Event: Source.EVENT,
    Record: Source.RECORD,
    Context: Source.CONTEXT,
    State: Source.STATE,
}


class Signature(msgspec.Struct, frozen=True):
    """How to call a handler."""

    positional: tuple[Source, ...] = ()
    named: tuple[tuple[str, Source], ...] = ()  # keyword-only parameters
    payload: object = None  # the annotation to decode into; None: no payload wanted
    returns: object = None  # the annotation, or None when there is none

    def takes(self, source: Source) -> bool:
        """Whether some parameter is filled from there."""
        return source in self.positional or any(found is source for _, found in self.named)


def read(function: Function, name: str, *, batch: bool = False) -> Signature:
    """Read a handler's parameters. One with a default keeps it.

    Raises:
        ConfigError: a parameter has no annotation, or one that cannot be filled.
    """
    signature = resolve(function, name)
    positional: list[Source] = []
    named: list[tuple[str, Source]] = []
    payload: object = None
    for parameter in signature.parameters.values():
        if parameter.default is not parameter.empty:
            continue
        source, annotation = _source(parameter, name, batch=batch)
        if source is Source.PAYLOAD:
            if payload is not None:
                raise ConfigError(
                    f"handler {name!r}: parameter {parameter.name!r} is a second payload; "
                    f"allowed are {_ALLOWED_BATCH if batch else _ALLOWED}"
                )
            payload = annotation
        if parameter.kind is parameter.KEYWORD_ONLY:
            named.append((parameter.name, source))
        else:
            positional.append(source)
    returns = signature.return_annotation
    return Signature(
        positional=tuple(positional),
        named=tuple(named),
        payload=payload,
        returns=None if returns is signature.empty else returns,
    )


def resolve(function: Function, name: str) -> inspect.Signature:
    """Return the signature of a callable with its annotations as objects.

    Raises:
        ConfigError: it has none, or an annotation names something that is not there.
    """
    try:
        return inspect.signature(function, eval_str=True)
    except NameError as err:
        raise ConfigError(
            f"handler {name!r}: an annotation cannot be resolved ({err}); "
            "define the class at the top of the module, outside of `if TYPE_CHECKING`"
        ) from err
    except (TypeError, ValueError, SyntaxError) as err:
        raise ConfigError(f"handler {name!r}: no signature can be read: {err}") from err


def of_event(function: Function, name: str, option: str, *, payload: bool) -> bool:
    """Whether a predicate or key function takes the Event; otherwise it takes the payload.

    Raises:
        ConfigError: it cannot be called with one argument, or wants a payload there is none of.
    """
    wanted = [
        parameter
        for parameter in resolve(function, name).parameters.values()
        if parameter.default is parameter.empty
    ]
    if len(wanted) != 1 or wanted[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise ConfigError(
            f"handler {name!r}: {option} takes one argument: the payload or the Event"
        )
    if wanted[0].annotation is Event:
        return True
    if not payload:
        raise ConfigError(
            f"handler {name!r} takes no payload: write {option} as a function whose parameter "
            f"{wanted[0].name!r} is annotated Event"
        )
    return False


def members(annotation: object) -> Iterator[object]:
    """Take unions, lists, tuples and iterators of a return annotation apart."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        for arg in args:
            yield from members(arg)
    elif _is_series(origin) and args:
        for arg in args if origin is tuple else args[:1]:  # of a generator, what it yields
            if arg is not ...:
                yield from members(arg)
    else:
        yield origin or annotation


def _is_series(origin: object) -> bool:
    return (
        isinstance(origin, type)
        and issubclass(origin, Iterable)
        and not issubclass(origin, Mapping)
    )


def _source(parameter: inspect.Parameter, name: str, *, batch: bool) -> tuple[Source, object]:
    annotation: object = parameter.annotation
    allowed = _ALLOWED_BATCH if batch else _ALLOWED
    where = f"handler {name!r}: parameter {parameter.name!r}"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise ConfigError(f"{where} takes any number of arguments; allowed are {allowed}")
    if annotation is parameter.empty:
        raise ConfigError(f"{where} has no annotation; allowed are {allowed}")
    if batch and annotation not in (State, Context):
        if typing.get_origin(annotation) is not list:
            raise ConfigError(f"{where} is {_text(annotation)}; allowed are {allowed}")
        annotation = typing.get_args(annotation)[0]
    source = _SOURCES.get(annotation) if isinstance(annotation, type) else None
    if source is not None:
        return source, annotation
    if not _decodable(annotation):
        raise ConfigError(f"{where} is {_text(annotation)}, no JSON type; allowed are {allowed}")
    return Source.PAYLOAD, annotation


def _decodable(annotation: object) -> bool:
    if annotation is object:
        return True
    if annotation is None or isinstance(annotation, typing.TypeVar):
        return False
    try:
        kind = msgspec.inspect.type_info(annotation)
    except (TypeError, NameError):
        return False
    return not isinstance(kind, msgspec.inspect.CustomType)


def _text(annotation: object) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
