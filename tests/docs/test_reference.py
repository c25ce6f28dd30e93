"""Generated pages say what the code says."""

import re

import pytest

from scripts.make_reference import FOLDER, MADE, fresh, stale
from scripts.reference import PARTS


def test_the_reference_is_as_the_code_has_it() -> None:
    assert stale() == [], "run `.venv/bin/python -m scripts.make_reference`"


def test_a_part_that_was_edited_by_hand_is_noticed() -> None:
    page = FOLDER / "metrics.md"
    text = page.read_text().replace("| counter |", "| gauge |", 1)
    assert fresh(text) == page.read_text() != text


def test_every_part_that_can_be_made_is_on_a_page() -> None:
    pages = "\n".join(page.read_text() for page in FOLDER.glob("*.md"))
    assert {found["name"] for found in MADE.finditer(pages)} == set(PARTS)


def test_a_page_cannot_name_a_part_that_nothing_makes() -> None:
    with pytest.raises(KeyError):
        fresh("<!-- made: gossip -->\n<!-- end: gossip -->")


def test_links_within_a_page_lead_to_a_heading_of_it() -> None:
    for page in FOLDER.glob("*.md"):
        text = page.read_text()
        headings = {_anchor(line) for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        links = set(re.findall(r"\]\(#([^)]+)\)", text))
        assert links <= headings, page.name


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")
