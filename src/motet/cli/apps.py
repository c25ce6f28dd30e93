"""`MODULE:NAME` on the command line becomes an `App`, or an error that says what is wrong where."""

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from motet.app import App
from motet.cli.names import nearest
from motet.core.errors import ConfigError, MotetError


def load_app(target: str) -> App:
    """Import `MODULE:NAME`, the current folder first, and return the application.

    Raises:
        ConfigError: the target is not of that form, cannot be imported, or is no `App`.
    """
    module_name, name = _split(target)
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = _import(module_name)
    return _app(module, name)


def _split(target: str) -> tuple[str, str]:
    module_name, colon, name = target.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise ConfigError(
            f"{target!r} names a file; name the module instead: {dotted}:{name or 'app'}"
        )
    if not colon or not module_name or not name:
        raise ConfigError(
            f"{target!r} names no application; write MODULE:NAME, such as "
            f"{module_name or 'shop'}:{name or 'app'} for `{name or 'app'} = App(...)` in "
            f"{module_name or 'shop'}.py"
        )
    return module_name, name


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as err:
        raise ConfigError(_missing(name, err)) from err
    except SyntaxError as err:
        place = f"{_short(err.filename or name)}, line {err.lineno}"
        raise ConfigError(f"{place}: {err.msg}; mend it and start again") from err
    except MotetError:
        raise  # says itself which declaration is wrong
    except (Exception, SystemExit) as err:
        raise ConfigError(
            f"importing {name!r} failed{_place(err)}: {type(err).__name__}: {err}; mend it, or "
            "run again with --debug for the traceback"
        ) from err


def _missing(name: str, err: ModuleNotFoundError) -> str:
    missing = err.name or name
    if name != missing and not name.startswith(f"{missing}."):
        return f"{name!r} imports {missing!r}, which is not installed{_place(err)}; install it"
    names = [path.stem for path in Path.cwd().glob("*.py")]
    names += [path.parent.name for path in Path.cwd().glob("*/__init__.py")]
    return (
        f"there is no module {missing!r} in {str(Path.cwd())!r} or the environment"
        f"{nearest(missing, names)}; start from the folder that holds it"
    )


def _place(err: BaseException) -> str:
    """Return where in the user's own files it happened; empty if it was in none."""
    frames = [
        frame
        for frame in traceback.extract_tb(err.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename not in _OURS
    ]
    return f" at {_short(frames[-1].filename)}, line {frames[-1].lineno}" if frames else ""


_OURS = frozenset({__file__, importlib.__file__})


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def _app(module: ModuleType, name: str) -> App:
    apps = [key for key, value in vars(module).items() if isinstance(value, App)]
    there = f"it has {', '.join(apps)}" if apps else "it has no App; add `app = App('name')`"
    found = getattr(module, name, None)
    if found is None and not hasattr(module, name):
        raise ConfigError(f"{module.__name__!r} has nothing called {name!r}; {there}")
    if not isinstance(found, App):
        kind = type(found).__name__
        raise ConfigError(f"{module.__name__}:{name} is of type {kind}, not a motet App; {there}")
    return found
