"""A unit of work: what is applied whole, or not at all."""

import asyncio
from collections.abc import Callable

from motet.drivers.sqlite.transaction import Transaction


class Unit:
    """A function on its way through the writer, and the future of who waits for it."""

    def __init__(
        self, work: Callable[[Transaction], object], future: asyncio.Future[object], size_bytes: int
    ) -> None:
        self.future = future
        self.size_bytes = size_bytes
        self.value: object = None
        self.error: BaseException | None = None
        self._work = work
        self._tickets = [True]  # list.pop is atomic: the writer takes it, or who gives up does

    def claim(self) -> bool:
        """Whether the caller is the first to claim it: to run it, or to give it up."""
        try:
            return self._tickets.pop()
        except IndexError:
            return False

    def run(self, tx: Transaction) -> None:
        """Do the work; what it returned is kept until the transaction is committed."""
        self.value = self._work(tx)

    def settle(self) -> None:
        """Tell who waits. On the event loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)
