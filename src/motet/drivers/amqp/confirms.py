"""Publisher confirms: one future per batch, whatever way the broker confirms its tags."""

import asyncio
from collections import deque
from collections.abc import Collection

from motet.core.errors import Unavailable

RoutePair = tuple[str, str]
"""Exchange and routing key."""


class Unroutable(Unavailable):
    """A message came back, for nothing is bound that would keep it."""


class _Sent:
    """A batch that was written and is not confirmed yet."""

    def __init__(self, first: int, last: int, routes: Collection[RoutePair]) -> None:
        self.last = last
        self.routes = routes
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.error: Unavailable | None = None
        self._upto = first - 1  # every tag up to here is confirmed
        self._singly: set[int] = set()  # and these above it

    @property
    def complete(self) -> bool:
        return self._upto + len(self._singly) >= self.last

    def confirm(self, tag: int, *, multiple: bool) -> None:
        if multiple:
            self._upto = max(self._upto, min(tag, self.last))
            self._singly = {each for each in self._singly if each > self._upto}
        elif tag > self._upto:
            self._singly.add(tag)


class Confirms:
    """The batches of one channel, completed in the order they were written.

    In order, so that who saw a later batch confirmed knows that those before it are settled too.
    """

    def __init__(self) -> None:
        self._sent: deque[_Sent] = deque()
        self._last = 0  # delivery tags count from 1 on each channel

    def add(self, count: int, routes: Collection[RoutePair]) -> asyncio.Future[None]:
        """Note that a batch is about to be written; the future is done once it is settled."""
        first, self._last = self._last + 1, self._last + count
        sent = _Sent(first, self._last, routes)
        self._sent.append(sent)
        return sent.future

    def settle(self, tag: int, *, multiple: bool, error: Unavailable | None = None) -> None:
        """The broker confirmed a tag, or all up to it; or refused it, with an `error`."""
        for sent in self._sent:
            if multiple or tag <= sent.last:
                sent.error = sent.error or error
                sent.confirm(tag, multiple=multiple)
            if tag <= sent.last:
                break
        while self._sent and self._sent[0].complete:
            _finish(self._sent.popleft())

    def returned(self, exchange: str, routing_key: str, reason: str) -> None:
        """A message came back, before its confirm: no queue is bound for it."""
        for sent in self._sent:
            if (exchange, routing_key) in sent.routes:
                sent.error = Unroutable(
                    f"nothing is bound to exchange {exchange!r} for {routing_key!r} ({reason}): "
                    "was its queue deleted?"
                )

    def fail(self, error: Unavailable) -> None:
        """The channel is gone: what is not confirmed will never be."""
        while self._sent:
            sent = self._sent.popleft()
            sent.error = error
            _finish(sent)


def _finish(sent: _Sent) -> None:
    if sent.future.done():  # who waited was cancelled
        return
    if sent.error is not None:
        sent.future.set_exception(sent.error)
        sent.future.exception()  # who waited may be gone, and that is no fault
    else:
        sent.future.set_result(None)
