"""The parts of docs/reference that are made from the code."""

from collections.abc import Callable, Mapping

from scripts.reference import (
    cli,
    errors,
    events,
    http,
    metrics,
    python,
    settings,
    tables,
    transports,
)

PARTS: Mapping[str, Callable[[], str]] = {
    **cli.PARTS,
    **errors.PARTS,
    **events.PARTS,
    **http.PARTS,
    **metrics.PARTS,
    **python.PARTS,
    **settings.PARTS,
    **tables.PARTS,
    **transports.PARTS,
}
"""What makes each part, by the name a page gives it."""
