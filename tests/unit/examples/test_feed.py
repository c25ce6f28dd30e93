"""The feed, and the pipeline as a whole: the same orders end the same way, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from examples.orders import pipeline
from examples.orders.catalogue import initial_stock
from examples.orders.events import OrderCreated
from examples.orders.feed import Fed, Feed, fed
from examples.orders.orders import order_lines
from examples.orders.purchases import Purchase
from examples.orders.risk import CustomerHistory
from motet import Backends, connect
from motet.core.clock import SystemClock
from tests.unit.examples.conftest import decoded, outcome_of
from tests.unit.examples.shop import answer, events_of, open_shop

ORDERS = 1500
START = Fed("generated", ORDERS)


class Stopped(Exception):
    """The feed was ended from outside."""


async def at_once(so_far: Fed) -> None:
    """There is always room."""


def feed(bought: Sequence[Purchase], backends: Backends, room: object = at_once) -> Feed:
    return Feed(bought, backends.store, clock=SystemClock(), room=room)  # type: ignore[arg-type]


def expected(bought: Sequence[Purchase]) -> dict[str, str]:
    """What plain calls make of the orders; those that end in dead letters are left out."""
    stock, handled = initial_stock(ORDERS), set[str]()
    histories: dict[str, CustomerHistory] = {}
    outcomes: dict[str, str] = {}
    for line in order_lines(bought, limit=ORDERS):
        order = decoded(line, handled)
        if isinstance(order, OrderCreated):
            outcome = outcome_of(order, stock, histories)
            outcomes[order.id] = paid(order.id) if outcome == "APPROVE" else NAMES[outcome]
    return {order_id: outcome for order_id, outcome in outcomes.items() if outcome != "DEAD"}


NAMES = {
    "failed": "INVALID",
    "sold out": "OUT_OF_STOCK",
    "BLOCK": "BLOCKED",
    "REVIEW": "REVIEW",
    "TAKEN": "PROCESSED",
    "DECLINED": "PAYMENT_DECLINED",
}


def paid(order_id: str) -> str:
    said = [answer(order_id, attempt) for attempt in range(1, pipeline.BANK_RETRIES.tries + 1)]
    return next((NAMES[each] for each in said if each in NAMES), "DEAD")


async def contents(backends: Backends) -> tuple[list[str], list[bytes]]:
    """Ids of the orders in the log, in order, and what was refused."""
    events = await events_of(backends.transport, pipeline.ORDERS)
    letters = await backends.store.dead_letters.list(limit=1000)
    return [event.id for event in events], [stored.letter.value for stored in letters]


@pytest.fixture(scope="session")
def bought(generated: list[Purchase]) -> Sequence[Purchase]:
    return generated


@pytest.mark.parametrize("workers", [1, 3])
async def test_orders_end_as_plain_calls_would_end_them(
    bought: Sequence[Purchase], workers: int
) -> None:
    async with open_shop() as shop:
        await feed(bought, shop.backends).run(START)
        await shop.settle(workers=workers)

        assert await shop.outcomes() == expected(bought)


async def test_feeding_while_handling_changes_no_outcome(bought: Sequence[Purchase]) -> None:
    async with open_shop() as shop:
        transport, store = shop.backends.transport, shop.backends.store
        async with pipeline.app.run(transport, store) as running:

            async def room(so_far: Fed) -> None:
                await running.until_idle()

            await feed(bought, shop.backends, room).run(START)
            await running.until_idle()

        assert await shop.outcomes() == expected(bought)


async def test_a_feed_takes_every_line_once(bought: Sequence[Purchase]) -> None:
    lines = list(order_lines(bought, limit=ORDERS))
    async with connect("memory://") as backends:
        done = await feed(bought, backends).run(START)
        ids, refused = await contents(backends)

    copies = sum(line.kind == "duplicate" for line in lines)
    assert done == Fed("generated", ORDERS, len(lines), ORDERS, copies, len(refused), done=True)
    assert len(ids) == len(set(ids)) == len(lines) - copies - len(refused)
    assert set(refused) < {line.value for line in lines if line.kind == "malformed"}


@pytest.mark.parametrize("commits", [0, 1, 2, 5])
async def test_a_feed_that_was_ended_goes_on_where_it_was(
    bought: Sequence[Purchase], commits: int
) -> None:
    left = commits

    async def room(so_far: Fed) -> None:
        nonlocal left
        if not left:
            raise Stopped
        left -= 1

    async with connect("memory://") as whole, connect("memory://") as broken:
        await feed(bought, whole).run(START)
        with pytest.raises(Stopped):
            await feed(bought, broken, room).run(START)
        assert not (await fed(broken.store) or START).done

        await feed(bought, broken).run(START)

        assert await contents(broken) == await contents(whole)
        assert await fed(broken.store) == await fed(whole.store)


async def test_a_feed_that_is_done_has_nothing_to_add(bought: Sequence[Purchase]) -> None:
    async with connect("memory://") as backends:
        await feed(bought, backends).run(START)
        before = await contents(backends)
        await feed(bought, backends).run(START)

        assert await contents(backends) == before


async def test_two_feeds_at_once_feed_no_line_twice(bought: Sequence[Purchase]) -> None:
    async with connect("memory://") as whole, connect("memory://") as shared:
        await feed(bought, whole).run(START)
        async with asyncio.TaskGroup() as tasks:
            for name in ("one", "other"):
                tasks.create_task(feed(bought, shared).run(START), name=name)

        assert await contents(shared) == await contents(whole)
        assert await fed(shared.store) == await fed(whole.store)


async def test_shelves_are_filled_before_the_first_order(bought: Sequence[Purchase]) -> None:
    async with connect("memory://") as backends:
        await feed(bought, backends).run(START)
        delivered = await events_of(backends.transport, pipeline.INVENTORY)

    assert {event.type for event in delivered} == {"inventory.delivered"}
    assert len(delivered) == 8
