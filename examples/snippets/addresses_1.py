import msgspec

from motet import App, Draft, emit, event

app = App("addresses")


@event("customer.moved")
class CustomerMoved(msgspec.Struct):
    customer: str
    address: str


@app.on("customers")
def label(moved: CustomerMoved) -> Draft:
    return emit("labels", {"to": moved.address}, type="label.printed")
