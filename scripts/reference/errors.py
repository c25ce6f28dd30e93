"""Errors, from their tree and their docstrings."""

import inspect
import re

from motet.cli import program
from motet.core import errors as tree
from motet.core.errors import MotetError
from scripts.reference.source import code, described, signature, table

_RETRIED = {
    "ConfigError": "never.",
    "CodecError": "never: the event becomes a dead letter at the first failure.",
    "ConcurrencyError": "at once, from what is there now; it counts as no try.",
    "TransientError": "by the policy when a handler raises it; until it works, with backoff, when "
    "the log or the store does.",
    "HandlerError": "by the policy, unless it says `retryable=False`.",
}
_EXITS = (
    (program.DONE, "done"),
    (program.FAILED, "failed: any error but `ConfigError`"),
    (program.MISUSED, "wrong usage or settings: `ConfigError`, or a command line that is none"),
    (program.INTERRUPTED, "interrupted by Ctrl-C"),
)


def _tree() -> str:
    doc = inspect.getdoc(tree) or ""
    return doc[doc.index("```") :]


def _classes() -> str:
    members = inspect.getmembers(tree, inspect.isclass)
    return "\n\n".join(_section(cls) for _, cls in sorted(members, key=_line))


def _line(member: tuple[str, type]) -> int:
    return inspect.getsourcelines(member[1])[1]


def _section(cls: type[MotetError]) -> str:
    lines = [f"## {cls.__name__}", ""]
    if "__init__" in vars(cls):
        lines += ["```python", signature(cls, cls.__name__), "```", ""]
    lines += [described(cls)]
    bases = [base.__name__ for base in cls.__bases__ if issubclass(base, MotetError)]
    if bases and bases != ["MotetError"]:
        lines += ["", f"A [`{bases[0]}`](#{bases[0].lower()})."]
    attributes = sorted(set(re.findall(r"self\.(\w+) =", inspect.getsource(cls))))
    if attributes:
        lines += ["", f"Attributes: {', '.join(map(code, attributes))}."]
    if said := _RETRIED.get(cls.__name__):
        lines += ["", f"Tried again: {said}"]
    return "\n".join(lines)


def _exits() -> str:
    return table(("code", "means"), [(str(number), said) for number, said in _EXITS])


PARTS = {"error tree": _tree, "errors": _classes, "exit codes": _exits}
