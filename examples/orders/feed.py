"""Feeding the orders in, a batch at a time; a feed that was killed goes on where it was.

Each batch is one commit: its events, the dead letters of the lines that are no events, and the
position after it, all or none. So nothing is fed twice, and no line is lost or complained of twice,
whenever the process dies. Two processes may feed from one folder at once: whoever commits second
is told that the position moved, reads it again and goes on from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Literal

import msgspec

from motet import Emit, Event, Outcome, Partition, Put
from motet.core.clock import format_time
from motet.core.errors import CodecError, ConcurrencyError
from motet.core.ids import Derived
from motet.core.intake import Intake
from motet.core.outcome import Commit, DeadLetter, ErrorInfo
from motet.core.ports import Clock, Progress, Store

from .catalogue import WAREHOUSES, initial_stock
from .flow import StockDelivered
from .orders import Line, order_lines
from .pipeline import INVENTORY, ORDERS
from .purchases import Purchase

GROUP = "feed"  # its position and state; it reads no topic
PLACE = Partition("orders.feed", 0)
BATCH = 250  # lines of one commit

_OPENED = "1997-01-01T00:00:00Z"  # when the shop opens with full shelves, in event time
_KEY = "fed"


class Fed(msgspec.Struct, frozen=True):
    """What is fed, from where, and how much of it so far."""

    source: Literal["CDNOW", "generated"]
    expected: int  # orders in all
    lines: int = 0
    orders: int = 0  # lines but for second copies
    duplicates: int = 0
    malformed: int = 0  # refused at the edge
    done: bool = False


Room = Callable[[Fed], Awaitable[None]]
"""Returns when there is room for more orders."""


async def fed(store: Store) -> Fed | None:
    """Gives how far the feed is; None: it was never started."""
    value = (await store.state(GROUP).get_many([_KEY])).get(_KEY)
    return None if value is None else msgspec.json.decode(value.value, type=Fed)


class Feed:
    """Publishes the orders of purchases, in order, each once."""

    def __init__(
        self, purchases: Sequence[Purchase], store: Store, *, clock: Clock, room: Room
    ) -> None:
        self._purchases = purchases
        self._store = store
        self._clock = clock
        self._intake = Intake(clock)
        self._room = room
        self._progress = Progress()
        self._put_version = 0
        self.fed = Fed("generated", 0)

    async def run(self, start: Fed) -> Fed:
        """Feed until all is fed; `start` says what, unless a feed was started here before.

        Durable batch by batch.

        Raises:
            Unavailable: the store cannot be written.
        """
        self.fed = start
        await self._resume()
        while self._progress.version == 0:
            await self._commit([], start, opening=True)
        first = 0
        for lines in _cut(order_lines(self._purchases, limit=self.fed.expected)):
            await self._feed(first, lines)
            first += len(lines)
        while not self.fed.done:
            await self._commit([], msgspec.structs.replace(self.fed, done=True))
        return self.fed

    async def _feed(self, first: int, lines: Sequence[Line]) -> None:
        end = first + len(lines)
        while (position := self._progress.next) < end:
            await self._room(self.fed)
            rest = lines[position - first :]
            await self._commit(rest, _after(self.fed, rest))
        await self._clock.sleep(0)  # others run while a feed that goes on finds its place

    async def _resume(self) -> None:
        self._progress = await self._store.progress(GROUP, PLACE)
        value = (await self._store.state(GROUP).get_many([_KEY])).get(_KEY)
        if value is not None:
            self.fed = msgspec.json.decode(value.value, type=Fed)
            self._put_version = value.version

    async def _commit(self, lines: Sequence[Line], fed: Fed, *, opening: bool = False) -> None:
        """Commit the lines and what is fed after them, unless another feed was first."""
        emits, dead = self._read(lines)
        deliveries = _deliveries(fed.expected) if opening else []
        put = Put(_KEY, msgspec.json.encode(_refused(fed, len(dead))), self._put_version)
        commit = Commit(
            group=GROUP,
            partition=PLACE,
            version=self._progress.version,
            next=fed.lines,
            outcomes=(Outcome(emits=(*deliveries, *emits), puts=(put,)),),
            dead=tuple(dead),
        )
        with suppress(ConcurrencyError):  # another demo was first; its position is now ours
            await self._store.commit(commit)
        await self._resume()

    def _read(self, lines: Sequence[Line]) -> tuple[list[Emit], list[DeadLetter]]:
        """Take lines in strictly, as the API does."""
        emits: list[Emit] = []
        dead: list[DeadLetter] = []
        now_us = self._clock.now_us()
        noted = msgspec.Raw(msgspec.json.encode({"publishedAt": format_time(now_us)}))
        for line in lines:
            try:
                event = self._intake.event(line.value)
                emits.append(Emit(ORDERS, msgspec.structs.replace(event, metadata=noted)))
            except CodecError as err:
                dead.append(_letter(line, err, now_us))
        return emits, dead


def _cut(lines: Iterator[Line]) -> Iterator[Sequence[Line]]:
    while batch := list(islice(lines, BATCH)):
        yield batch


def _after(fed: Fed, lines: Sequence[Line]) -> Fed:
    copies = sum(line.kind == "duplicate" for line in lines)
    return msgspec.structs.replace(
        fed,
        lines=fed.lines + len(lines),
        orders=fed.orders + len(lines) - copies,
        duplicates=fed.duplicates + copies,
    )


def _refused(fed: Fed, count: int) -> Fed:
    return msgspec.structs.replace(fed, malformed=fed.malformed + count)


def _letter(line: Line, err: CodecError, now_us: int) -> DeadLetter:
    """Keep a refused line as it came, as the dead letter of an edge."""
    return DeadLetter(
        topic=ORDERS,
        partition=-1,
        offset=-1,
        group="",
        key=line.key,
        event_type="",
        value=err.value,
        error=ErrorInfo("CodecError", f"{err} (at {err.where})" if err.where else str(err)),
        first_failed_us=now_us,
    )


def _deliveries(orders: int) -> list[Emit]:
    """Fill the shelves of a shop that expects this many orders."""
    stock = initial_stock(orders)
    derive = Derived(GROUP).id
    emits = []
    for ordinal, warehouse in enumerate(WAREHOUSES):
        units = {sku: count for (sku, code), count in stock.items() if code == warehouse.code}
        event = Event(
            id=derive("opening", _OPENED, ordinal),
            type="inventory.delivered",
            time=_OPENED,
            key=warehouse.code,
            source="/orders/feed",
            data=msgspec.Raw(msgspec.json.encode(StockDelivered(warehouse.code, units))),
        )
        emits.append(Emit(INVENTORY, event))
    return emits
