"""Membership: joining a group, staying alive in it, taking and giving back partitions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection

from motet.core.balance import Plan, plan
from motet.core.errors import TransientError
from motet.core.event import Partition
from motet.drivers.sqlite import Database, Transaction, members
from motet.transports.sqlite.lease import SqliteLease

TTL_S = 15.0
"""A member that hangs loses its leases after this; one whose process dies, at the next look."""

_DRAIN_S = 10.0
_LOOK_S = 0.05  # between two looks at the group; reads only, unless there is something to do

_log = logging.getLogger(__name__)


class Membership:
    """One subscriber of a group: the leases it holds, as an async iterator.

    Leases are handed over gently: who has too many stops fetching, commits what it has, and only
    then frees the partition. What goes wrong is caught by the store, where a commit from an
    older progress version is `Fenced`.
    """

    def __init__(
        self, database: Database, topics: Collection[str], *, group: str, ttl_s: float = TTL_S
    ) -> None:
        self._database = database
        self._topics = frozenset(topics)
        self._group = group
        self._ttl_us = round(ttl_s * 1e6)
        self._beat_s = ttl_s / 3
        self._id = self._slot = 0
        self._held: dict[Partition, SqliteLease] = {}
        self._new: asyncio.Queue[SqliteLease] = asyncio.Queue()
        self._news = asyncio.Event()  # a lease can be given back
        self._next_beat_s = 0.0

    def __aiter__(self) -> AsyncIterator[SqliteLease]:
        return self

    async def __anext__(self) -> SqliteLease:
        return await self._new.get()

    async def join(self) -> None:
        """Become a member."""
        slot = self._slot = self._database.presence.hold()  # alive before others can see it
        try:
            self._id = await self._database.write(
                lambda tx: members.join(
                    tx, self._group, self._topics, slot=slot, ttl_us=self._ttl_us
                )
            )
        except BaseException:
            self._database.presence.release(slot)
            raise
        self._next_beat_s = self._database.clock.monotonic_s() + self._beat_s

    async def leave(self) -> None:
        """Give everything back."""
        for lease in self._held.values():
            lease.lost = True
        try:
            await self._database.write(lambda tx: members.remove(tx, [self._id]))
        except TransientError as err:  # others see the lock go
            _log.warning("sqlite.leave", extra={"group": self._group, "error": str(err)})
        self._database.presence.release(self._slot)

    async def run(self) -> None:
        """Keep the membership alive and the shares fair, until cancelled."""
        while True:
            try:
                await self._beat()
                await self._balance()
            except TransientError as err:
                _log.warning("sqlite.group", extra={"group": self._group, "error": str(err)})
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()

    async def _beat(self) -> None:
        now_s = self._database.clock.monotonic_s()
        if now_s < self._next_beat_s:
            return
        if not await self._database.write(lambda tx: members.beat(tx, self._id, self._ttl_us)):
            # The others took us for dead, after a long pause of this process.
            _log.warning("sqlite.expired", extra={"group": self._group, "member": self._id})
            self._lose(list(self._held))
            self._database.presence.release(self._slot)
            await self.join()
        self._next_beat_s = now_s + self._beat_s

    async def _balance(self) -> None:
        group = members.look(self._database, self._group)
        self._lose([p for p in self._held if group.leases.get(p) != self._id])
        for lease in list(self._held.values()):
            if self._finished(lease):
                await self._release(lease.partition)
        dead, todo = self._plan(group, self._database.clock.now_us())
        self._revoke(todo.give)
        if dead or todo.take:
            for partition in await self._database.write(self._rebalance):
                lease = SqliteLease(self._database, partition, self._group, self._news.set)
                self._held[partition] = lease
                self._new.put_nowait(lease)

    def _finished(self, lease: SqliteLease) -> bool:
        # Who leaves without acknowledging what it fetched is given a while: it may still commit.
        overdue = self._database.clock.monotonic_s() > lease.revoked_s + _DRAIN_S
        return lease.drained or (lease.revoked and lease.left and overdue)

    async def _release(self, partition: Partition) -> None:
        await self._database.write(lambda tx: members.release(tx, self._group, self._id, partition))
        del self._held[partition]

    def _rebalance(self, tx: Transaction) -> tuple[Partition, ...]:
        group = members.look(tx, self._group)
        if self._id not in {member.id for member in group.members}:
            return ()  # the next heartbeat finds out
        dead, todo = self._plan(group, tx.now_us)
        if dead:
            members.remove(tx, dead)
        members.take(tx, self._group, self._id, todo.take)
        return todo.take

    def _plan(self, group: members.Group, now_us: int) -> tuple[set[int], Plan]:
        dead = members.dead(group, self._database.presence, now_us=now_us) - {self._id}
        readers = {m.id: m.topics for m in group.members if m.id not in dead}
        todo = plan(self._id, readers=readers, partitions=group.partitions, leases=group.leases)
        return dead, todo

    def _revoke(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            lease = self._held.get(partition)
            if lease is not None and not lease.revoked:
                lease.revoked = True
                lease.revoked_s = self._database.clock.monotonic_s()
                self._database.watch.ring()  # a fetch that waits returns

    def _lose(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._held.pop(partition).lost = True
        if partitions:
            self._database.watch.ring()
