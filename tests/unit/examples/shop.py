"""A shop to try the pipeline in: orders go in, what every topic holds comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec

from examples.orders import pipeline
from examples.orders.events import Item, Metadata, OrderCreated, at, to_amount
from examples.orders.payments import ask
from examples.orders.risk import DAY_US
from motet import Backends, Event, Partition, TransientError, connect
from motet.core.clock import SystemClock, format_time
from motet.core.event import ABSENT
from motet.core.ports import Transport
from motet.telemetry import Metrics

OPENED_US = 852_118_800_000_000  # 1997-01-01 09:00, by day and with nobody in a hurry

NOON = at(OPENED_US)


def order(id: str = "order-1", /, **changes: object) -> OrderCreated:
    """Gives an honest order of one cheap album; `changes` are fields of `OrderCreated`."""
    fields: dict[str, object] = {
        "agent_id": "storefront",
        "session_id": "cust-1",
        "user_id": "cust-1",
        "id": id,
        "customer_id": "cust-1",
        "items": (item("ALB-001"),),
        "currency": "USD",
        "created_at": NOON,
        "billing_address": "US-1",
        "shipping_address": "US-1",
        "is_express": False,
        "is_international": False,
        "warehouse": "EWR1",
        "metadata": Metadata(device_fingerprint="known"),
        **changes,
    }
    items = fields["items"]
    assert isinstance(items, tuple)
    fields.setdefault("total", to_amount(sum(each.cents for each in items)))
    return OrderCreated(**fields)  # type: ignore[arg-type]  # the names are the caller's


def item(sku: str, quantity: int = 1, price: str = "12.00", category: str = "album") -> Item:
    return Item(sku=sku, quantity=quantity, price=Decimal(price), category=category)


def stolen(id: str, **changes: object) -> OrderCreated:
    """Gives an order that has everything fraud has: it is blocked."""
    night = at(OPENED_US - 6 * 3_600_000_000)
    dear = (item("BOX-001", 4, "50.00", "box-set"),)
    signs: dict[str, object] = {
        "items": dear,
        "shipping_address": "FR-2",
        "created_at": night,
        "is_express": True,
        "is_international": True,
    }
    return order(id, **signs | changes)


def doubtful(id: str, **changes: object) -> OrderCreated:
    """Gives an order that a person has to look at."""
    signs: dict[str, object] = {
        "session_id": "cust-2",
        "customer_id": "cust-2",
        "items": (item("ALB-001", 4),),
        "shipping_address": "US-2",
        "is_express": True,
    }
    return order(id, **signs | changes)


def later(days: float) -> dict[str, object]:
    """Gives the change that makes an order one of so many days later."""
    return {"created_at": at(OPENED_US + round(days * DAY_US))}


def created(placed: OrderCreated, *, event_id: str = "", published_us: int | None = None) -> Event:
    """Gives the event of an order."""
    noted = ABSENT
    if published_us is not None:
        noted = msgspec.Raw(msgspec.json.encode({"publishedAt": format_time(published_us)}))
    data = msgspec.json.Encoder(decimal_format="number").encode(placed)
    return event("order.created", data, event_id or f"event-{placed.id}", placed.session_id, noted)


def event(type: str, data: object, id: str, key: str = "", metadata: msgspec.Raw = ABSENT) -> Event:
    encoded = data if isinstance(data, bytes) else msgspec.json.encode(data)
    return Event(
        id=id,
        type=type,
        time=format_time(OPENED_US),
        key=key,
        data=msgspec.Raw(encoded),
        metadata=metadata,
    )


def delivery(units: Mapping[str, int], *, warehouse: str = "EWR1", number: int = 1) -> Event:
    """Gives the event that puts units on a warehouse's shelves."""
    data = {"warehouse": warehouse, "units": units}
    return event("inventory.delivered", data, f"delivery-{warehouse}-{number}", warehouse)


class Shop:
    """The pipeline on memory backends."""

    def __init__(self, backends: Backends) -> None:
        self.backends = backends
        self.clock = SystemClock()

    async def work(self, *orders: OrderCreated | Event, workers: int = 1) -> None:
        """Publish orders and return once all that comes of them is done."""
        events = [each if isinstance(each, Event) else created(each) for each in orders]
        await self.backends.transport.publish(pipeline.ORDERS, events)
        await self.settle(workers=workers)

    async def stock(self, units: Mapping[str, int], *, warehouse: str = "EWR1") -> None:
        """Fill shelves."""
        number = len(await self.events(pipeline.INVENTORY))
        filled = delivery(units, warehouse=warehouse, number=number)
        await self.backends.transport.publish(pipeline.INVENTORY, [filled])

    async def settle(self, *, workers: int = 1) -> None:
        """Return once nothing is left to do."""
        transport, store = self.backends.transport, self.backends.store
        async with pipeline.app.run(transport, store, metrics=Metrics()) as running:
            if workers > 1:
                async with pipeline.app.run(transport, store, metrics=Metrics()):
                    await running.until_idle()
            await running.until_idle()

    async def events(self, topic: str) -> Sequence[Event]:
        """Everything on a topic."""
        return await events_of(self.backends.transport, topic)

    async def data(self, topic: str) -> Sequence[dict[str, object]]:
        """The payloads on a topic."""
        return [msgspec.json.decode(each.data) for each in await self.events(topic)]

    async def outcomes(self) -> dict[str, str]:
        """How each order ended; fails if one ended twice."""
        ended = await self.data(pipeline.OUTCOMES)
        outcomes = {str(each["orderId"]): str(each["outcome"]) for each in ended}
        assert len(outcomes) == len(ended)
        return outcomes

    async def state(self, group: str, key: str) -> object:
        """A value of a group's state, decoded; None: there is none."""
        found = (await self.backends.store.state(group).get_many([key])).get(key)
        return None if found is None else msgspec.json.decode(found.value)

    async def units(self, sku: str, *, warehouse: str = "EWR1") -> tuple[object, object]:
        """Units of a title on the shelf, and units that came back."""
        place = f"{warehouse}/{sku}"
        on_hand = await self.state("inventory", place)
        return on_hand, await self.state("inventory", f"returned/{place}")


async def events_of(transport: Transport, topic: str) -> list[Event]:
    """Everything on a topic, partition by partition."""
    infos = {info.name: info for info in await transport.topics()}
    found: list[Event] = []
    for index, end in enumerate(infos[topic].ends if topic in infos else ()):
        offset = 0
        while offset < end:
            batch = await transport.read(Partition(topic, index), offset=offset, limit=1000)
            found += [record.event for record in batch.records]
            offset = batch.end
    return found


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    """Open a shop with every topic and empty shelves."""
    async with connect("memory://") as backends:
        for topic, partitions in pipeline.PARTITIONS.items():
            await backends.transport.create_topic(topic, partitions=partitions)
        yield Shop(backends)


def order_whose_bank(says: Sequence[str]) -> str:
    """Finds an order's id whose first tries go as said: "TAKEN", "DECLINED" or an error's name."""
    for number in range(1_000_000):
        id = f"order-{number}"
        if all(answer(id, attempt) == said for attempt, said in enumerate(says, start=1)):
            return id
    raise AssertionError(f"no bank ever says {says}")


def answer(order_id: str, attempt: int) -> str:
    try:
        return ask(order_id, attempt)
    except TransientError as err:
        return type(err).__name__


def count(outcomes: Mapping[str, str]) -> Counter[str]:
    return Counter(outcomes.values())
