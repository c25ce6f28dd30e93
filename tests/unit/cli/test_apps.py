import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from motet.cli.apps import load_app
from motet.core.errors import ConfigError

SHOP = """
from motet.app import App

app = App("shop")
other = App("other")
number = 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules of its own, forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


def test_an_app_is_found_in_the_current_folder(folder: Path) -> None:
    (folder / "cli_shop.py").write_text(SHOP)

    assert load_app("cli_shop:app").name == "shop"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("cli_shop", r"write MODULE:NAME, such as cli_shop:app"),
        (":app", r"write MODULE:NAME"),
        ("cli_shop:", r"write MODULE:NAME"),
        ("./sub/cli_shop.py:app", r"names a file; name the module instead: sub.cli_shop:app"),
        ("cli_shop:ap", r"'cli_shop' has nothing called 'ap'; it has app, other"),
        ("cli_shop:number", r"is of type int, not a motet App; it has app, other"),
        ("cli_shpo:app", r"no module 'cli_shpo' in .*did you mean 'cli_shop'\?"),
        ("cli_shop.inner:app", r"no module 'cli_shop.inner'"),
    ],
)
def test_what_is_wrong_with_a_target_is_said(folder: Path, target: str, said: str) -> None:
    (folder / "cli_shop.py").write_text(SHOP)

    with pytest.raises(ConfigError, match=said):
        load_app(target)


def test_a_module_without_an_app_says_how_to_make_one(folder: Path) -> None:
    (folder / "cli_none.py").write_text("x = 1\n")

    with pytest.raises(ConfigError, match="has no App; add `app = App"):
        load_app("cli_none:app")


def test_a_syntax_error_names_file_and_line(folder: Path) -> None:
    (folder / "cli_bad.py").write_text("x = 1\n\ndef f(:\n")

    with pytest.raises(ConfigError, match=r"^cli_bad\.py, line 3: "):
        load_app("cli_bad:app")


def test_a_syntax_error_in_an_imported_file_names_that_file(folder: Path) -> None:
    (folder / "cli_worse.py").write_text("(\n")
    (folder / "cli_imports.py").write_text("import cli_worse\n")

    with pytest.raises(ConfigError, match=r"^cli_worse\.py, line 1: "):
        load_app("cli_imports:app")


def test_a_missing_dependency_is_named_with_the_line_that_wants_it(folder: Path) -> None:
    (folder / "cli_needs.py").write_text("\nimport surely_not_there\n")

    with pytest.raises(ConfigError, match=r"imports 'surely_not_there'.* at cli_needs\.py, line 2"):
        load_app("cli_needs:app")


def test_an_error_at_import_names_its_place(folder: Path) -> None:
    (folder / "cli_fails.py").write_text("def f():\n    return 1 / 0\n\nf()\n")

    with pytest.raises(ConfigError, match=r"at cli_fails\.py, line 2: ZeroDivisionError"):
        load_app("cli_fails:app")


def test_a_wrong_declaration_speaks_for_itself(folder: Path) -> None:
    (folder / "cli_wrong.py").write_text('from motet.app import App\napp = App("")\n')

    with pytest.raises(ConfigError, match="an app needs a name"):
        load_app("cli_wrong:app")
