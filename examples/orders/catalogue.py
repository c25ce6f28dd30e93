"""What the shop sells, where it keeps it, and how much of it.

CDNOW says how many CDs were bought and for how much, not which. So a category is a band of unit
prices, and within a category the titles share the demand about as Zipf's law has it: the title of
rank r, from 0, sells in proportion to log((r + 2) / (r + 1)).
"""

from __future__ import annotations

import bisect
import math
from itertools import accumulate

import msgspec

from .chances import pick


class Category(msgspec.Struct, frozen=True):
    """A band of prices; it reaches up to the next category's `from_cents`."""

    name: str
    prefix: str  # of its SKUs
    from_cents: int  # the least unit price, in US cents
    titles: int
    share: float  # of all units sold, as measured on the orders made from CDNOW


class Warehouse(msgspec.Struct, frozen=True):
    """A place that ships, with the countries it serves; the first one is its own."""

    code: str
    countries: tuple[str, ...]  # ISO 3166, alpha-2
    share: float  # of all orders


class Sku(msgspec.Struct, frozen=True):
    """One title on offer."""

    code: str
    category: str
    rank: int  # 0 sells best within the category
    list_price_cents: int


CATEGORIES = (
    Category("promo", "PRM", 0, 4, 0.0005),
    Category("single", "SGL", 1, 32, 0.0185),
    Category("budget-album", "BUD", 700, 64, 0.0895),
    Category("album", "ALB", 1100, 120, 0.6045),
    Category("import-album", "IMP", 1500, 60, 0.2055),
    Category("double-album", "DBL", 2000, 24, 0.0600),
    Category("box-set", "BOX", 3000, 12, 0.0185),
    Category("collectors-set", "COL", 6000, 4, 0.0030),
)

WAREHOUSES = (
    Warehouse("EWR1", ("US",), 0.24),
    Warehouse("ATL1", ("US",), 0.22),
    Warehouse("ORD1", ("US",), 0.18),
    Warehouse("DFW1", ("US",), 0.12),
    Warehouse("SFO1", ("US",), 0.16),
    Warehouse("YYZ1", ("CA",), 0.03),
    Warehouse("AMS1", ("NL", "GB", "DE", "FR"), 0.03),
    Warehouse("SIN1", ("SG", "JP", "AU"), 0.02),
)

UNITS_PER_ORDER = 2.41  # 167,881 CDs in 69,659 purchases
BEST_SELLERS = 2  # titles of each category that the shop buys too few of
SHORT_COVER = 0.90  # stock of a best seller over what will be asked for
AMPLE_COVER = 1.25
SAFETY_UNITS = 12  # on top, of every title in every warehouse

_FROM_CENTS = [category.from_cents for category in CATEGORIES]
_WAREHOUSE_SUMS = tuple(accumulate(warehouse.share for warehouse in WAREHOUSES))


def category_of(unit_price_cents: int) -> Category:
    """Gives the category whose band of prices the unit price falls into."""
    return CATEGORIES[bisect.bisect_right(_FROM_CENTS, unit_price_cents) - 1]


def sku_of(category: Category, share: float) -> str:
    """Gives the SKU that a draw in [0, 1) falls on; low ranks take most of the range."""
    return sku_code(category, int((category.titles + 1) ** share) - 1)


def sku_code(category: Category, rank: int) -> str:
    """Writes the SKU of a rank, which starts from 0."""
    return f"{category.prefix}-{rank + 1:03d}"


def next_sku(category: Category, sku: str) -> str:
    """Gives the SKU that sells next best in the category; after the last comes the first."""
    return sku_code(category, int(sku[-3:]) % category.titles)


def warehouse_of(share: float) -> Warehouse:
    """Gives the warehouse of the region that a draw in [0, 1) falls into."""
    return WAREHOUSES[pick(share, _WAREHOUSE_SUMS)]


def skus() -> list[Sku]:
    """Lists all titles; a list price is the band's lowest and, by rank, 9 to 99 cents on top."""
    return [
        Sku(
            code=sku_code(category, rank),
            category=category.name,
            rank=rank,
            list_price_cents=category.from_cents and category.from_cents + rank * 10 % 100 + 9,
        )
        for category in CATEGORIES
        for rank in range(category.titles)
    ]


def initial_stock(orders: int) -> dict[tuple[str, str], int]:
    """Gives the units on hand, by SKU and warehouse code, of a shop that expects this many orders.

    Best sellers are bought short, so that a few orders in a hundred find them sold out towards the
    end; the rest have plenty.
    """
    return {
        (sku_code(category, rank), warehouse.code): _units(category, warehouse, rank, orders)
        for category in CATEGORIES
        for rank in range(category.titles)
        for warehouse in WAREHOUSES
    }


def _units(category: Category, warehouse: Warehouse, rank: int, orders: int) -> int:
    of_title = math.log((rank + 2) / (rank + 1)) / math.log(category.titles + 1)
    expected = orders * UNITS_PER_ORDER * category.share * warehouse.share * of_title
    if rank < BEST_SELLERS:
        return math.ceil(expected * SHORT_COVER)
    return math.ceil(expected * AMPLE_COVER) + SAFETY_UNITS
