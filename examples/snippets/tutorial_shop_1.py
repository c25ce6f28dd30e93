import msgspec

from motet import App, Draft, emit, event

app = App("shop")


@event("order.placed")
class OrderPlaced(msgspec.Struct):
    """Somebody wants something."""

    sku: str
    quantity: int


@app.on("orders")
def reserve(order: OrderPlaced) -> Draft:
    """Answer each order with an event on the topic `stock`."""
    return emit("stock", {"sku": order.sku, "taken": order.quantity}, type="stock.reserved")
