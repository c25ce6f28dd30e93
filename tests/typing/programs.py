"""Programs that must type-check, as users write them."""

import msgspec

from motet import App, Context, Draft, Event, Outcome, RetryPolicy, State, connect, emit, event

app = App("typed")


@event("order.placed", version=2)
class OrderPlaced(msgspec.Struct):
    sku: str
    quantity: int


@event("stock.reserved")
class StockReserved(msgspec.Struct):
    sku: str


@app.on("orders", "order.placed", to="stock")
def returns_a_payload(order: OrderPlaced) -> StockReserved | None:
    return StockReserved(order.sku) if order.quantity else None


@app.on("orders", "order.*", group="drafts", retry=RetryPolicy(tries=3), on_failure="skip")
async def returns_drafts(order: OrderPlaced, source: Event, context: Context) -> list[Draft]:
    return [emit("later", {"sku": order.sku}, type="reminder", delay_s=60.0, key=source.key)]


@app.on("orders", group="state", state=lambda order: order.sku)
def keeps_state(order: OrderPlaced, state: State) -> None:
    seen: int | None = state.get(int)
    state.put((seen or 0) + 1)


@app.on("orders", group="batches", batch=True)
def takes_batches(orders: list[OrderPlaced]) -> None:
    """Nothing to return."""


@app.on("orders", group="outcomes")
def returns_an_outcome(order: OrderPlaced) -> Outcome:
    return Outcome()


async def main() -> None:
    async with connect("memory://") as backends, app.run(backends.transport, backends.store) as it:
        problems: list[str] = it.problems()
        assert not problems
