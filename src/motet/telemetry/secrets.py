"""Passwords and tokens in what a program says, replaced: one rule for logs, console and API."""

import re
from collections.abc import Mapping

HIDDEN = "***"
"""Stands where a secret was."""

# What stands before the last @ may hold any of / : @, as passwords do that nobody encoded. The
# bound keeps a long text of :// from being searched in quadratic time.
_USER_INFO = re.compile(r"(?<=://)([^\s:/@'\"]*)(:)?([^\s'\"]{0,4096})@")
_TEXTS = (
    (
        re.compile(
            r"([?&][\w.-]*(?:passw(?:or)?d|pwd|secret|token|api[_-]?key)[\w.-]*=)[^&\s'\"]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b([Bb]earer|Basic)\s+[\w.~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\bwhs[ek]c?_[\w+/=]+"), HIDDEN),  # Standard Webhooks secrets
)
_NAME = re.compile(
    r"authorization|cookie|passw(or)?d|passphrase|secret|api[-_]?key|(^|[-_])token$", re.IGNORECASE
)
_DEEPEST = 6  # levels of nested values looked at


def masked(text: str) -> str:
    """Return `text` with the credentials in it replaced; hosts and paths of URLs stay."""
    text = _USER_INFO.sub(_without_password, text)
    for pattern, instead in _TEXTS:
        text = pattern.sub(instead, text)
    return text


def hide(value: object, *, depth: int = 0) -> object:
    """Return a value with the secrets in it replaced, whatever holds them."""
    if isinstance(value, str):
        return masked(value)
    if depth == _DEEPEST:
        return value
    if isinstance(value, Mapping):
        return {name: hide_named(name, inner, depth=depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hide(inner, depth=depth + 1) for inner in value]
    return value


def hide_named(name: object, value: object, *, depth: int = 0) -> object:
    """Return a value with the secrets in it replaced; all of it if its name says it is one."""
    if isinstance(name, str) and _NAME.search(name):
        return HIDDEN
    return hide(value, depth=depth)


def _without_password(found: re.Match[str]) -> str:
    user, colon, rest = found.groups()
    if colon:
        return f"{user}:{HIDDEN}@"
    if rest.startswith("/"):  # a path with an @ in it: `sqlite:////srv/a@b.db`
        return found.group()
    return f"{HIDDEN}@"
