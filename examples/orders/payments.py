"""The bank that payments are taken from: what it answers, by fixed rules.

What a bank says is drawn by hashing the order's id and the number of the try, so it is the same in
every run, whoever asks and whenever.

| what | share | rule |
|---|---|---|
| outage | 0.1 % of orders | the customer's bank answers no try: after the last, a dead letter |
| decline | 2 % of orders | the bank says no, as it would again: no money moves |
| time-out | 3 % of tries | no answer to this try; the next one may have more luck |
"""

from __future__ import annotations

from typing import Literal

import msgspec

from motet import TransientError

from .chances import shares

OUTAGE_SHARE = 0.001
DECLINE_SHARE = 0.02
TIMEOUT_SHARE = 0.03

Answer = Literal["TAKEN", "DECLINED"]


class BankTimeout(TransientError):
    """The bank did not answer this try in time."""


class BankDown(TransientError):
    """The customer's bank does not answer at all."""


class Payment(msgspec.Struct, frozen=True, rename="camel"):
    """One line of the ledger: what became of an order's payment."""

    answer: Answer
    amount_cents: int  # taken, or asked for where declined


def ask(order_id: str, attempt: int) -> Answer:
    """Gives the bank's answer to a try, counted from 1.

    Raises:
        BankTimeout: no answer this time.
        BankDown: no answer at any time.
    """
    outage, decline = shares("payment", order_id)[:2]
    if outage < OUTAGE_SHARE:
        raise BankDown("the customer's bank is down")
    if shares("payment", order_id, attempt)[0] < TIMEOUT_SHARE:
        raise BankTimeout("the bank did not answer within 5 s")
    return "DECLINED" if decline < DECLINE_SHARE else "TAKEN"
