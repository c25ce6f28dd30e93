"""How `--help` looks: plain text in two columns, the same on a terminal and in a file."""

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

_WIDEST = 100  # columns; longer lines are hard to read
_LEFT = 26  # columns for names; a longer one gets a line of its own


class PlainHelp:
    """Conforms to cyclopts' `HelpFormatter`."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """Write one panel: a title and its entries."""
        if not panel.entries:
            return
        width = min(console.width, _WIDEST)
        lines = [f"{_plain(panel.title)}:"]
        for entry in panel.entries:
            lines += _entry(entry, width)
        _print(console, [*lines, ""])

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: object) -> None:
        """Write the line of usage."""
        _print(console, [f"Usage: {_plain(usage)}", ""])

    def render_description(
        self, console: "Console", options: "ConsoleOptions", description: object
    ) -> None:
        """Write the paragraphs of description, wrapped; indented lines stay as they are."""
        width = min(console.width, _WIDEST)
        for paragraph in _plain(description).split("\n\n"):
            kept = paragraph.startswith(" ")
            lines = paragraph.splitlines() if kept else textwrap.wrap(paragraph, width)
            _print(console, [*lines, ""])


def _entry(entry: "HelpEntry", width: int) -> list[str]:
    names = ", ".join(entry.display_labels_with_metavar or entry.display_labels)
    texts = textwrap.wrap(_description(entry), width - _LEFT - 4) or [""]
    indent = " " * (_LEFT + 4)
    rest = [indent + text for text in texts[1:]]
    if len(names) > _LEFT:
        return [f"  {names}", indent + texts[0], *rest]
    return [f"  {names:<{_LEFT}}  {texts[0]}".rstrip(), *rest]


def _description(entry: "HelpEntry") -> str:
    parts = [_plain(entry.description)]
    if entry.choices:
        parts.append(f"[one of: {', '.join(entry.choices)}]")
    if entry.default is not None:
        parts.append(f"[default: {entry.default}]")
    return " ".join(" ".join(parts).split())


def _plain(renderable: object) -> str:
    while hasattr(renderable, "primary_renderable"):
        renderable = renderable.primary_renderable
    return str(renderable or "").strip()


def _print(console: "Console", lines: list[str]) -> None:
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
