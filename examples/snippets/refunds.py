from pathlib import Path

import msgspec

from motet import App, Draft, HandlerError, RetryPolicy, emit, event

app = App("refunds")


@event("refund.asked")
class RefundAsked(msgspec.Struct):
    order: str
    cents: int


@app.on("refunds", group="bank", retry=RetryPolicy(tries=2, base_s=0.2, jitter_s=0.1))
def pay_back(refund: RefundAsked) -> Draft:
    """Pay money back, as long as the bank answers: this one closes with a file."""
    if refund.cents > 100_000:
        raise HandlerError("somebody has to sign this", code="TOO_MUCH", retryable=False)
    if Path("bank-is-closed").exists():
        raise HandlerError("the bank does not answer", code="BANK_CLOSED")
    return emit("refunds.paid", refund, type="refund.paid")
