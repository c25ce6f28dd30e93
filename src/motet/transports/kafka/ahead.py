"""Offsets done ahead of `next`, as the text that Kafka keeps with a committed offset."""

from collections.abc import Sequence

_MARK = "motet1:"
_MOST_BYTES = 4096  # the broker's default for offset.metadata.max.bytes


def to_metadata(next_offset: int, ahead: Sequence[int]) -> str:
    """Return runs of offsets as text, each as gap and length in hexadecimal.

    What does not fit in what a broker takes is left out, the highest first: those are handled
    again if nothing further is committed before a crash. There is room for some 800 runs.
    """
    if not ahead:
        return ""
    text, at = _MARK, next_offset
    for first, length in _runs(ahead):
        run = f"{first - at:x}.{length:x},"
        if len(text) + len(run) > _MOST_BYTES:
            break
        text += run
        at = first + length
    return text


def from_metadata(next_offset: int, text: str | None) -> tuple[int, ...]:
    """Return the offsets that `to_metadata` wrote; nothing where somebody else wrote it."""
    if not text or not text.startswith(_MARK):
        return ()
    ahead: list[int] = []
    at = next_offset
    for run in text.removeprefix(_MARK).rstrip(",").split(","):
        gap, _, length = run.partition(".")
        first = at + int(gap, 16)
        at = first + int(length, 16)
        ahead += range(first, at)
    return tuple(ahead)


def _runs(offsets: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for offset in offsets:
        if runs and offset == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((offset, 1))
    return runs
