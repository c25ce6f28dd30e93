"""The Python names, from what `motet` and `motet.testing` export."""

import inspect
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import ModuleType

import msgspec

import motet
import motet.testing
from motet.core.errors import MotetError
from motet.handlers import Handlers, ScatterGather
from motet.runtime import Running
from scripts.reference.source import described, fields_table, signature

_DECLARING = ("on", "route", "scatter_gather", "every", "upcast")
_RUNNING = ("idle", "until_idle", "problems")


def _declaring() -> str:
    parts = [_method("app", Handlers, name) for name in _DECLARING]
    return "\n\n".join([*parts, _method("gather", ScatterGather, "branch")])


def _exported(module: ModuleType) -> str:
    """Every public name in the order of `__all__`; errors have their own page."""
    things = [(name, getattr(module, name)) for name in module.__all__]
    return "\n\n".join(
        f"### {name}\n\n{_thing(module, name, thing)}"
        for name, thing in things
        if not (inspect.isclass(thing) and issubclass(thing, MotetError))
    )


def _running() -> str:
    return "\n\n".join(_method("running", Running, name) for name in _RUNNING)


def _thing(module: ModuleType, name: str, thing: object) -> str:
    if inspect.isclass(thing):
        return _class(thing)
    if callable(thing):
        return f"```python\n{signature(thing, name)}\n```\n\n{described(thing)}"
    return f"`{thing!r}`. {_below_constant(module, name)}"


def _class(cls: type) -> str:
    parts = [described(cls)]
    is_struct = issubclass(cls, msgspec.Struct)
    if is_struct and [name for name in cls.__struct_fields__ if name[0] != "_"]:
        parts.append(fields_table(cls))
    elif not is_struct and "__init__" in vars(cls):
        parts.insert(0, f"```python\n{signature(cls, cls.__name__)}\n```")
    if "onforms to `ports." not in parts[-1]:
        parts += [_method(cls.__name__, cls, name) for name in _own_methods(cls)]
    return "\n\n".join(parts)


def _own_methods(cls: type) -> Iterable[str]:
    for name, member in vars(cls).items():
        if name[0] != "_" and (inspect.isfunction(member) or isinstance(member, property)):
            yield name


def _method(owner: str, cls: type, name: str) -> str:
    member = inspect.getattr_static(cls, name)
    if isinstance(member, property):
        return f"`{owner}.{name}`: {described(member)}"
    return f"```python\n{signature(member, f'{owner}.{name}')}\n```\n\n{described(member)}"


def _below_constant(module: ModuleType, name: str) -> str:
    """The string below a constant, in whichever module defines it."""
    for path in Path(str(module.__file__)).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if found := re.search(rf'^{name} = .*\n"""(.*?)"""', text, re.MULTILINE | re.DOTALL):
            return " ".join(found[1].split())
    return ""


PARTS = {
    "declaring": _declaring,
    "running": _running,
    "motet": partial(_exported, motet),
    "motet.testing": partial(_exported, motet.testing),
}
