"""Content-based routing: the same event, on another topic."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from motet.core.errors import ConfigError, HandlerError
from motet.core.event import Event
from motet.core.outcome import Emit

Target = str | Iterable[str] | None
Router = Callable[[Event], Target]


def router(
    name: str, topic: str, to: Mapping[str, str] | Router, default: str | None
) -> Callable[[Event], list[Emit]]:
    """Return the function that routes the events of `topic`; payloads are not decoded.

    In a table an exact type goes before a glob, and of the globs the first that matches counts.
    An event with no target is left where it is.

    Raises:
        ConfigError: a table is empty, or sends events back to where they come from.
    """
    if not isinstance(to, Mapping):
        return _by_function(name, topic, to, default)
    if not to and default is None:
        raise ConfigError(f"route {name!r} of {topic!r} leads nowhere: give to= or default=")
    for target in (*to.values(), default):
        if target == topic or target == "":
            raise ConfigError(f"route {name!r} leads from {topic!r} to {target!r}")
    return _by_table(to, default)


def _by_table(to: Mapping[str, str], default: str | None) -> Callable[[Event], list[Emit]]:
    exact = dict(to)
    globs = [(kind, target) for kind, target in to.items() if any(c in kind for c in "*?[")]

    def route(event: Event) -> list[Emit]:
        target = exact.get(event.type)
        if target is None:
            target = next((t for g, t in globs if fnmatchcase(event.type, g)), default)
        return [] if target is None else [Emit(target, event)]

    return route


def _by_function(
    name: str, topic: str, choose: Router, default: str | None
) -> Callable[[Event], list[Emit]]:
    def route(event: Event) -> list[Emit]:
        chosen = choose(event)
        if chosen is None:
            chosen = () if default is None else (default,)
        targets = (chosen,) if isinstance(chosen, str) else tuple(chosen)
        for target in targets:
            if type(target) is not str or target in ("", topic):
                raise HandlerError(
                    f"route {name!r} of {topic!r} chose {target!r}; "
                    "allowed are other topics, a list of them, or None",
                    retryable=False,
                )
        return [Emit(target, event) for target in targets]

    return route
