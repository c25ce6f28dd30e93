"""The rules that turn a purchase into an order.

What CDNOW does not say is drawn by hashing the name of the purchase (`chances`), so it never
changes.

| what | rule |
|---|---|
| when | a customer's day starts once, on the hour profile below; orders follow within 40 minutes |
| lines | 1 to 3; some units at `value // units`, the rest a cent dearer: an exact sum |
| title | category by unit price, then Zipf's law (`catalogue`) |
| where | a customer has one address; 6 % of orders are gifts to another, a fifth of them far |
| device | a customer has three, used for 85, 12 and 3 % of the orders |
| express | 15 % of orders |
| takeover | 3 % are a stranger's: new device, address anywhere, mostly at night and express |
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import msgspec

from .catalogue import Warehouse, category_of, next_sku, sku_of, warehouse_of
from .chances import digest, pick, shares, time_ordered_id
from .events import AGENT_ID, CURRENCY, Item, Metadata, OrderCreated, at, to_amount
from .purchases import Purchase

DAY_S = 86_400
SITTING_S = 40 * 60  # the orders of one customer's day lie within it
GIFT_SHARE = 0.06
FAR_SHARE = 0.2  # of gifts, sent to a region drawn anew
EXPRESS_SHARE = 0.15
TAKEOVER_SHARE = 0.03
TAKEOVER_NIGHT = 0.7  # of takeovers, started between 00:00 and 06:00
TAKEOVER_EXPRESS = 0.6
NIGHT_S = 6 * 3600
CUT_SHARES = (0.5, 0.2)  # of orders whose longest line is cut once, and of those cut once more
DEVICE_SUMS = (0.85, 0.97, 1.0)

# Orders by hour of the day, UTC, made up: quiet from 00:00 to 06:00, most at noon.
HOUR_WEIGHTS = (2, 1, 1, 1, 0.5, 0.5, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 6, 6, 6, 5, 5, 4, 3, 3)
_HOUR_SUMS = tuple(sum_ / sum(HOUR_WEIGHTS) for sum_ in accumulate(HOUR_WEIGHTS))
_EPOCH_DAY = date(1970, 1, 1).toordinal()


class _Draws(NamedTuple):
    """The dice of one order, each in [0, 1)."""

    takeover: float
    night: float
    after: float
    cut: float
    express: float
    device: float
    gift: float
    far: float
    region: float
    country: float
    first_sku: float
    second_sku: float
    third_sku: float


class _Home(msgspec.Struct, frozen=True):
    """A place that orders go to."""

    warehouse: Warehouse
    country: str
    address: str  # country and hash, as on the wire


def order_of(purchase: Purchase) -> OrderCreated:
    """Makes the order of a purchase: the same one always, whatever was made before it."""
    draws = _draws(purchase.customer, purchase.ordinal)
    home = _home(purchase.customer)
    there = _destination(purchase, home)
    customer = customer_id(purchase.customer)
    time_us = created_us(purchase)
    return OrderCreated(
        agent_id=AGENT_ID,
        session_id=customer,
        user_id=customer,
        id=_id(purchase, "order-id"),
        customer_id=customer,
        items=_items(purchase),
        total=to_amount(purchase.value_cents),
        currency=CURRENCY,
        created_at=at(time_us),
        billing_address=home.address,
        shipping_address=there.address,
        is_express=draws.express < (TAKEOVER_EXPRESS if takeover(purchase) else EXPRESS_SHARE),
        is_international=there.country != there.warehouse.countries[0],
        warehouse=there.warehouse.code,
        metadata=Metadata(device_fingerprint=_device(purchase)),
    )


def event_id_of(purchase: Purchase) -> str:
    """Gives the id of the order's event; like that of the order itself it sorts by time."""
    return _id(purchase, "event-id")


def customer_id(customer: int) -> str:
    """Writes CDNOW's number of a customer as the shop's id."""
    return f"cust-{customer:05d}"


def created_us(purchase: Purchase) -> int:
    """Gives the instant of an order on its purchase's day, in microseconds since 1970."""
    draws = _draws(purchase.customer, purchase.ordinal)
    start_s = _day_start_s(purchase.customer, purchase.day)
    if takeover(purchase) and draws.night < TAKEOVER_NIGHT:
        start_s = draws.night / TAKEOVER_NIGHT * NIGHT_S
    second = min(int(start_s + draws.after * SITTING_S), DAY_S - 1)
    return ((purchase.day.toordinal() - _EPOCH_DAY) * DAY_S + second) * 1_000_000


def takeover(purchase: Purchase) -> bool:
    """Says whether a stranger ordered in the customer's name: the truth a score tries to guess."""
    return _draws(purchase.customer, purchase.ordinal).takeover < TAKEOVER_SHARE


# A day of the shop has up to 550 orders, and each draws twice: to be sorted and to be made.
@lru_cache(maxsize=1024)
def _draws(customer: int, ordinal: int) -> _Draws:
    return _Draws(*shares("order", customer, ordinal)[: len(_Draws._fields)])


@lru_cache(maxsize=1024)
def _day_start_s(customer: int, day: date) -> float:
    hour, within = shares("day", customer, day)[:2]
    return (pick(hour, _HOUR_SUMS) + within) * 3600


@lru_cache(maxsize=4096)
def _home(customer: int) -> _Home:
    region, country = shares("home", customer)[:2]
    return _at(warehouse_of(region), country, "home", customer)


def _destination(purchase: Purchase, home: _Home) -> _Home:
    draws = _draws(purchase.customer, purchase.ordinal)
    name = "gift", purchase.customer, purchase.ordinal
    if takeover(purchase) or draws.gift < GIFT_SHARE * FAR_SHARE:
        return _at(warehouse_of(draws.region), draws.country, *name)
    if draws.gift < GIFT_SHARE:
        return _Home(home.warehouse, home.country, _address(home.country, *name))
    return home


def _at(warehouse: Warehouse, share: float, *name: object) -> _Home:
    country = warehouse.countries[int(share * len(warehouse.countries))]
    return _Home(warehouse, country, _address(country, *name))


def _address(country: str, *name: object) -> str:
    return f"{country}-{digest(4, *name).hex()}"


def _device(purchase: Purchase) -> str:
    if takeover(purchase):
        return digest(8, "stranger", purchase.customer, purchase.ordinal).hex()
    draws = _draws(purchase.customer, purchase.ordinal)
    return digest(8, "device", purchase.customer, pick(draws.device, DEVICE_SUMS)).hex()


def _id(purchase: Purchase, of: str) -> str:
    bits = digest(10, of, purchase.customer, purchase.ordinal)
    return time_ordered_id(created_us(purchase) // 1000, bits)


def _items(purchase: Purchase) -> tuple[Item, ...]:
    draws = _draws(purchase.customer, purchase.ordinal)
    items: dict[str, Item] = {}
    for (price_cents, units), draw in zip(_lines(purchase, draws.cut), draws[-3:], strict=False):
        category = category_of(price_cents)
        sku = sku_of(category, draw)
        while sku in items:  # a title stands on one line of an order
            sku = next_sku(category, sku)
        price = to_amount(price_cents)
        items[sku] = Item(sku=sku, quantity=units, price=price, category=category.name)
    return tuple(items.values())


def _lines(purchase: Purchase, cut: float) -> list[tuple[int, int]]:
    """Gives unit price in cents and units of up to three lines, which add up to the purchase."""
    low_cents, dearer = divmod(purchase.value_cents, purchase.quantity)
    lines = [(low_cents, purchase.quantity - dearer)]
    if dearer:
        lines.append((low_cents + 1, dearer))
    for share in CUT_SHARES:
        price_cents, units = longest = max(lines, key=lambda line: line[1])
        if cut < share and units > 1 and len(lines) < 3:
            lines.remove(longest)
            lines += [(price_cents, units - units // 2), (price_cents, units // 2)]
    return lines
