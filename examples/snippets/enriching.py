from motet import App, Draft, Open, emit, event

app = App("enriching")


@event("ticket.opened")
class TicketOpened(Open):
    text: str
    language: str = ""


@app.on("tickets")
def detect(ticket: TicketOpened) -> Draft:
    """Add the language and pass the rest on, also what this program has never heard of."""
    ticket.language = "nl" if " een " in ticket.text else "en"
    return emit("tickets.ready", ticket, type="ticket.ready")
