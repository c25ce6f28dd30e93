import msgspec

from motet import App, Draft, emit, event

app = App("reminding")

app.every(1.0, "ticks", "second.passed")
app.every("0 8 * * 1-5", "reports", "report.due", {"kind": "daily"})


@event("invoice.sent")
class InvoiceSent(msgspec.Struct):
    number: str


@app.on("invoices")
def remind(invoice: InvoiceSent) -> Draft:
    """Four seconds stand for two weeks here."""
    return emit("reminders", invoice, type="invoice.reminder", delay_s=4)
