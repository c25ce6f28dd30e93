"""Options in the query of a URL, each with what it converts to."""

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

from motet.core.errors import ConfigError
from motet.telemetry import masked

Option = tuple[str, Callable[[str], object]]
"""The field that it sets, and what makes its value; a ValueError says what is wrong."""

MANY = "many "
"""Before the field of an option that may be given several times."""


def values_of(url: str, options: Mapping[str, Option], *, form: str) -> dict[str, object]:
    """Return the values in a URL by field.

    Raises:
        ConfigError: an option is unknown, or its value is out of bounds.
    """
    values: dict[str, object] = {}
    for name, text in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name not in options:
            _unknown(name, options)
        field, convert = options[name]
        try:
            value = convert(text)
        except ValueError as err:
            raise ConfigError(f"{form}: {name}={masked(text)!r}: {err}") from err
        if field.startswith(MANY):
            field = field.removeprefix(MANY)
            before = values.get(field)
            value = (*before, value) if isinstance(before, tuple) else (value,)
        values[field] = value
    return values


def _unknown(name: str, options: Collection[str]) -> NoReturn:
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    near = f"; did you mean {close[0]!r}?" if close else "."
    raise ConfigError(
        f"rabbitmq:// has no option {name!r}{near} It has: {', '.join(sorted(options))}"
    )


def number(least: int, most: int) -> Callable[[str], int]:
    """Return what converts a whole number in bounds."""

    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"a whole number from {least} to {most} is expected")
        return int(text)

    return convert


def seconds(least: float) -> Callable[[str], float]:
    """Return what converts a number of seconds, `least` or more."""

    def convert(text: str) -> float:
        value = float(text)
        if not least <= value <= 86_400:
            raise ValueError(f"{least:g} to 86400 seconds are expected")
        return value

    return convert


def one_of(*allowed: str) -> Callable[[str], str]:
    """Return what takes one of a few words."""

    def convert(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is expected")
        return text

    return convert


ADDRESS: dict[str, Option] = {
    "timeout": ("timeout_s", seconds(0.1)),
    "tls_ca": ("ca_file", str),
    "tls_cert": ("cert_file", str),
    "tls_key": ("key_file", str),
}
"""Those of the connection itself."""

OF_ADDRESS = frozenset({field for field, _ in ADDRESS.values()})
