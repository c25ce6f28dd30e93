"""What the documentation shows is what happens."""

import os
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, commands, included, matches, needs, pages, play, quoted


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _followed() -> list[object]:
    return [
        pytest.param(page, id=_name(page), marks=pytest.mark.timeout(needs(page).limit_s + 20))
        for page in pages()
        if commands(page)
    ]


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_code_on_a_page_is_the_file_it_says_it_is(page: Path) -> None:
    for block in included(page):
        assert block.body == block.source.read_text(), block.source
    for source, part in quoted(page):
        assert part in source.read_text(), source


@pytest.mark.parametrize("page", _followed())
def test_commands_on_a_page_print_what_it_says(page: Path, tmp_path: Path) -> None:
    if missing := needs(page).missing:
        reason = f"{missing[0]} is not installed"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    folder = tmp_path / "page"
    folder.mkdir()
    for command, output in play(page, folder):
        assert matches(command.expected, output), f"$ {command.line}\n{output}"


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    listed = {str(page.relative_to(ROOT / "docs")) for page in pages()[1:]}
    listed = {name for name in listed if not name.startswith("adr/")} - {"README.md"}
    assert sorted(name for name in listed if f"]({name})" not in index) == []
