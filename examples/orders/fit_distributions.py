"""Recomputes the tables of `distributions` from the CDNOW file and writes them as Python.

    python -m examples.orders.fit_distributions [CACHE_DIR]

A table holds the quantiles of one column at the probabilities of `GRID_PERMILLE`: the quantile at p
of n values is the one at index round(p * (n - 1)) when they are sorted.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from .distributions import GAP_CLASSES, GRID_PERMILLE, QUANTITY_CLASSES
from .purchases import DEFAULT_CACHE, FIRST_DAY, Purchase, fetch, load


def fit(purchases: Iterable[Purchase]) -> dict[str, tuple[int, ...]]:
    """Computes every table, by name; a number at its end is the least of a class."""
    by_customer: dict[int, list[Purchase]] = defaultdict(list)
    for purchase in sorted(purchases):
        by_customer[purchase.customer].append(purchase)
    histories = list(by_customer.values())
    every = [purchase for history in histories for purchase in history]
    columns = {
        "FIRST_DAY_OFFSET": [(history[0].day - FIRST_DAY).days for history in histories],
        "PURCHASES_PER_CUSTOMER": [len(history) for history in histories],
        "QUANTITY": [purchase.quantity for purchase in every],
    }
    for least, following in pairwise((*QUANTITY_CLASSES, sys.maxsize)):
        columns[f"UNIT_PRICE_CENTS_{least}"] = [
            round(purchase.value_cents / purchase.quantity)
            for purchase in every
            if least <= purchase.quantity < following
        ]
    for least, following in pairwise((*GAP_CLASSES, sys.maxsize)):
        chosen = [history for history in histories if least <= len(history) < following]
        columns[f"GAP_DAYS_{least}"] = [
            (b.day - a.day).days for history in chosen for a, b in pairwise(history)
        ]
    return {name: quantiles(column) for name, column in columns.items()}


def quantiles(column: Sequence[int]) -> tuple[int, ...]:
    """Gives the values at `GRID_PERMILLE` of the sorted column."""
    ordered = sorted(column)
    return tuple(ordered[round(permille / 1000 * (len(ordered) - 1))] for permille in GRID_PERMILLE)


def main(cache_dir: Path) -> None:
    """Writes the tables to standard output, fetching the file first if it is not in the cache."""
    fetch(cache_dir)
    for name, table in fit(load(cache_dir)).items():
        sys.stdout.write(f"{name} = Quantiles({table})\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_CACHE)
