import msgspec

from motet import App, Draft, RetryPolicy, State, emit, event

PIECES = {"screw": 1_000_000, "nail": 500}  # what is there on the first day

app = App("shop")


@event("order.placed")
class OrderPlaced(msgspec.Struct):
    """Somebody wants something."""

    sku: str
    quantity: int


@app.on("orders", retry=RetryPolicy(tries=2, base_s=0.5))
def reserve(order: OrderPlaced, state: State) -> Draft:
    """Take an order's pieces from what is left."""
    left = state.get(int)
    if left is None:
        left = PIECES[order.sku]
    left -= order.quantity
    state.put(left)
    return emit("stock", {"sku": order.sku, "left": left}, type="stock.reserved")
