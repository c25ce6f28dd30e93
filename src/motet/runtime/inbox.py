"""Telling first copies of an event from repeats, where the log may have an id more than once."""

from collections.abc import Iterable, Sequence

from motet.core.event import Record
from motet.core.ports import Store


class Inbox:
    """What a group has taken charge of in one topic: what it committed, and what is in flight.

    The store remembers ids in the transaction that moves progress. Between a fetch and that
    commit only this object knows of them; after a reload they are read, and asked about, anew.
    Copies of an event have its key, so they come through one partition, one after the other.
    """

    def __init__(self, store: Store, *, group: str, topic: str) -> None:
        self._store = store
        self._group = group
        self._topic = topic
        self._in_flight: set[str] = set()

    async def sort(self, records: Sequence[Record]) -> tuple[Sequence[Record], Sequence[Record]]:
        """Return the first copies, which are in flight from now on, and the repeats.

        One round trip. What is in flight is looked at before the store is asked: a commit that
        ends meanwhile takes ids from the one place to the other, and may not be missed in both.
        """
        first: dict[str, Record] = {}
        repeats: list[Record] = []
        for record in records:
            if record.event.id in self._in_flight or record.event.id in first:
                repeats.append(record)
            else:
                first[record.event.id] = record
        if first:
            known = await self._store.handled(self._group, self._topic, list(first))
            repeats += [record for id, record in first.items() if id in known]
            first = {id: record for id, record in first.items() if id not in known}
        self._in_flight.update(first)
        return list(first.values()), repeats

    def committed(self, ids: Iterable[str]) -> None:
        """The store remembers these now."""
        self._in_flight.difference_update(ids)

    def forget(self) -> None:
        """Nothing is in flight: what was not committed is read again."""
        self._in_flight.clear()
