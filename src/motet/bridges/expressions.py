"""Expressions over events: which ones, and under which key. The language is JMESPath.

An expression sees the event as the article writes it: `eventType`, `key`, `payload` and so on,
what the envelope leaves out because it has its default being null. The event is decoded once,
and only where there is an expression.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from motet.core.codec import encode
from motet.core.errors import ConfigError, HandlerError
from motet.core.event import Event

_decode = msgspec.json.Decoder(dict[str, object]).decode

KEYS = {"session": "payload.sessionId", "type": "eventType"}
"""Keys that have a name."""


class Expression:
    """One expression, read once and applied to any number of events."""

    def __init__(self, text: str, *, option: str) -> None:
        """Read an expression; `option` is where it was given, for messages.

        Raises:
            ConfigError: it is none; the message shows where. Or jmespath is not installed.
        """
        self._option = option
        self.text = text
        jmespath = _library(option)
        self._errors = jmespath.exceptions.JMESPathError
        try:
            parsed = jmespath.compile(text)
        except self._errors as err:
            raise ConfigError(_shown(option, text, err)) from err
        _check_calls(option, parsed.parsed, jmespath.functions.Functions.FUNCTION_TABLE)
        self._search: Callable[[object], object] = parsed.search

    def value(self, document: Mapping[str, object]) -> object:
        """Return what the expression finds in an event as `document` made it.

        Raises:
            HandlerError: a function or comparison got values that it does not take.
        """
        try:
            return self._search(document)
        except (self._errors, ArithmeticError, TypeError, ValueError) as err:
            said = str(err).replace("\n", " ")
            raise HandlerError(
                f"{self._option} {self.text!r} fails on this event: {said}",
                code="ExpressionError",
                retryable=False,
            ) from err


class Key:
    """The key that an expression gives an event."""

    def __init__(self, given: str, *, option: str = "--key-by") -> None:
        """Read `session`, `type` or an expression.

        Raises:
            ConfigError: as for `Expression`.
        """
        self._expression = Expression(KEYS.get(given, given), option=option)
        self._option = option

    def of(self, document: Mapping[str, object], event: Event) -> Event:
        """Return the event under its new key, or as it is where the expression finds null.

        Raises:
            HandlerError: it finds something that is neither text nor a number.
        """
        found = self._expression.value(document)
        if found is None:
            return event
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            raise HandlerError(
                f"{self._option} {self._expression.text!r} gives {_kind(found)} for this event; a "
                "key is text or a number",
                code="ExpressionError",
                retryable=False,
            )
        key = found if isinstance(found, str) else msgspec.json.encode(found).decode()
        return event if key == event.key else msgspec.structs.replace(event, key=key)


class Select:
    """Which events an expression selects: those for which what it finds is true in JMESPath.

    False, null, and what is empty are not; the number 0 is.
    """

    def __init__(self, given: str, *, option: str = "--select") -> None:
        """Read an expression.

        Raises:
            ConfigError: as for `Expression`.
        """
        self._expression = Expression(given, option=option)

    def selects(self, document: Mapping[str, object]) -> bool:
        """Whether an event is selected.

        Raises:
            HandlerError: a function or comparison got values that it does not take.
        """
        found = self._expression.value(document)
        return found is not None and found is not False and found not in ("", [], {})


def document(event: Event, value: bytes = b"") -> Mapping[str, object]:
    """Return an event as expressions see it. `value` is what it was decoded from, if known."""
    found = _decode(value or encode(event))
    found.setdefault("version", event.schema_version)
    return found


def _library(option: str) -> Any:
    """Return the module, which has no types."""
    try:
        importlib.import_module("jmespath.functions")
        return importlib.import_module("jmespath")
    except ModuleNotFoundError as err:
        raise ConfigError(
            f"{option} needs 'jmespath', which is not installed: pip install 'motet[bridge]'"
        ) from err


def _shown(option: str, text: str, err: Exception) -> str:
    said = str(err).split(":\n")[0]
    for opening in ("Invalid jmespath expression: ", "Bad jmespath expression: "):
        said = said.removeprefix(opening)
    at = getattr(err, "lex_position", None)
    if isinstance(at, int):
        before, after = text[:at], text[at:]
        return f"{option}: {said}, at character {at + 1}, marked by >>> here: {before}>>>{after}"
    return f"{option} {text!r}: {said}"


def _check_calls(option: str, node: Mapping[str, Any], table: Mapping[str, Any]) -> None:
    """Refuse functions that do not exist, which the library only notices when it calls them."""
    children: Sequence[Mapping[str, Any]] = [
        child for child in node.get("children", ()) if isinstance(child, dict)
    ]
    if node.get("type") == "function_expression":
        name = node["value"]
        if name not in table:
            raise ConfigError(
                f"{option}: there is no function {name}(); JMESPath has {', '.join(sorted(table))}"
            )
        signature = table[name]["signature"]
        variadic = bool(signature) and bool(signature[-1].get("variadic"))
        if len(children) < len(signature) or (len(children) > len(signature) and not variadic):
            least = "at least " if variadic else ""
            raise ConfigError(
                f"{option}: {name}() takes {least}{len(signature)} arguments, not {len(children)}"
            )
    for child in children:
        _check_calls(option, child, table)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "an array" if isinstance(value, list) else "an object"
