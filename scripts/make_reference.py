"""Write what is made from the code into docs/reference: `python -m scripts.make_reference`.

A page holds prose and, between `<!-- made: NAME -->` and `<!-- end: NAME -->`, what the code says.
With `--check` nothing is written; the exit code is 1 when a page is not what it would be.
"""

import re
import sys
from pathlib import Path

from scripts.reference import PARTS

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MADE = re.compile(r"<!-- made: (?P<name>.+?) -->\n.*?<!-- end: (?P=name) -->", re.DOTALL)


def fresh(text: str) -> str:
    """Return a page with its made parts as the code has them now.

    Raises:
        KeyError: the page names a part that nothing makes.
    """
    return MADE.sub(_part, text)


def _part(found: re.Match[str]) -> str:
    name = found["name"]
    return f"<!-- made: {name} -->\n\n{PARTS[name]().strip()}\n\n<!-- end: {name} -->"


def stale() -> list[Path]:
    """Pages whose made parts are not as the code has them now."""
    pages = sorted(FOLDER.glob("*.md"))
    return [page for page in pages if page.read_text("utf-8") != fresh(page.read_text("utf-8"))]


def main(*, check: bool) -> int:
    """Name the stale pages, and mend them unless they are only to be named."""
    old = stale()
    for page in old:
        print(page.relative_to(FOLDER.parents[1]))
        if not check:
            page.write_text(fresh(page.read_text("utf-8")), "utf-8")
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
