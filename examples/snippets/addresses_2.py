import msgspec

from motet import App, Draft, emit, event

app = App("addresses")


@event("customer.moved", version=2)
class CustomerMoved(msgspec.Struct):
    customer: str
    street: str
    city: str
    country: str = "NL"


@app.upcast("customer.moved", 1)
def split_address(payload: dict[str, object]) -> dict[str, object]:
    """Version 1 had one line: street, then city."""
    street, _, city = str(payload.pop("address")).partition(", ")
    return {**payload, "street": street, "city": city}


@app.on("customers")
def label(moved: CustomerMoved) -> Draft:
    lines = [moved.street, moved.city, moved.country]
    return emit("labels", {"to": lines}, type="label.printed")
