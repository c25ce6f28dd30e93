"""Suggestions for names that were mistyped."""

from collections.abc import Collection


def nearest(name: str, names: Collection[str]) -> str:
    """Return `, did you mean 'x'?` for the closest of `names`; empty if none is close."""
    import difflib  # on the way to an error only

    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f", did you mean {close[0]!r}?" if close else ""
