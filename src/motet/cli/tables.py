"""Tables and lines of plain text that fit a terminal, without colour and without escapes."""

import unicodedata
from collections.abc import Sequence

import msgspec

_GAP = "  "
_NARROWEST = 12  # columns a wide column keeps when the terminal is too small
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Column(msgspec.Struct, frozen=True):
    """How one column of a table looks."""

    title: str
    right: bool = False  # numbers end at the same place
    wide: bool = False  # may be cut when the terminal is too small


def visible(text: str) -> str:
    """Return `text` on one line; what would steer a terminal is written out as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _shown(char) else ascii(char)[1:-1] for char in text)


def _shown(char: str) -> bool:
    return char not in _BIDI and unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}


def cut(text: str, width: int | None) -> str:
    """Return `text` in at most `width` columns, with an ellipsis where something is left out."""
    if width is None or columns_of(text) <= width:
        return text
    while text and columns_of(text) > width - 1:
        text = text[: max(0, min(len(text) - 1, width - 1))]
    return f"{text}…"


def columns_of(text: str) -> int:
    """Return how many terminal columns `text` takes: two for wide East Asian characters."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[object]], *, width: int | None = None
) -> list[str]:
    """Return the lines of a table, title first; `width=None` cuts nothing."""
    cells = [[visible(str(cell)) for cell in row] for row in rows]
    widths = [
        max([len(column.title), *(columns_of(row[index]) for row in cells)])
        for index, column in enumerate(columns)
    ]
    if width is not None:
        widths = _fitted(columns, widths, width)
    lines = [[column.title for column in columns], *cells]
    return [_line(columns, widths, row) for row in lines]


def _fitted(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    fitted = list(widths)
    for index in sorted(range(len(columns)), key=lambda index: -widths[index]):
        if columns[index].wide and over > 0:
            kept = max(_NARROWEST, fitted[index] - over)
            kept = min(kept, fitted[index])
            over -= fitted[index] - kept
            fitted[index] = kept
    return fitted


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    parts = []
    for column, size, cell in zip(columns, widths, row, strict=True):
        text = cut(cell, size)
        space = " " * (size - columns_of(text))
        parts.append(space + text if column.right else text + space)
    return _GAP.join(parts).rstrip()


def size(size_bytes: int | None) -> str:
    """Return a number of bytes for a person: `1.4 MB` (powers of ten); None: `unknown`."""
    if size_bytes is None:
        return "unknown"
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def duration(duration_s: float | None) -> str:
    """Return a length of time for a person: `7d`, `90s`; None: `for ever`."""
    if duration_s is None:
        return "for ever"
    for unit, seconds in (("d", 86_400), ("h", 3600), ("m", 60)):
        if duration_s >= seconds and duration_s % seconds == 0:
            return f"{duration_s / seconds:.0f}{unit}"
    return f"{duration_s:g}s"


def counted(count: int, what: str) -> str:
    """Return a count with its noun: `1 event`, `1,200 events`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
