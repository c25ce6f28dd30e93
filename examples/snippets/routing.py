import msgspec

from motet import App, Event

app = App("routing")

# By type: an exact name goes before a glob.
app.route(
    "incoming",
    {"user.message.received": "messages", "payment.*": "payments"},
    default="incoming.others",
)


def by_amount(event: Event) -> list[str]:
    """Every payment is booked; large ones are looked at as well."""
    payment = msgspec.json.decode(event.data)
    return ["bookings", "reviews"] if payment["cents"] >= 100_000 else ["bookings"]


# By content: a function says where to, one topic or several.
app.route("payments", by_amount, type="payment.received")
