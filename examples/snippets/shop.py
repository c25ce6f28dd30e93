import msgspec

from motet import App, Draft, emit, event

app = App("shop")


@event("order.placed")
class OrderPlaced(msgspec.Struct):
    sku: str
    quantity: int


@app.on("orders")
def reserve(order: OrderPlaced) -> Draft:
    return emit("stock", {"sku": order.sku, "left": 10 - order.quantity}, type="stock.reserved")
