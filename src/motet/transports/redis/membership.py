"""Membership: joining a group, staying alive in it, taking and giving back partitions."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection

import msgspec

from motet.core.balance import Plan, plan
from motet.core.errors import TransientError, Unavailable
from motet.core.event import Partition
from motet.core.ports import Clock
from motet.telemetry import bind
from motet.transports.redis.catalogue import settings
from motet.transports.redis.claims import claim, settle
from motet.transports.redis.connection import Connection, pack
from motet.transports.redis.keys import Keys, before
from motet.transports.redis.lease import RedisLease
from motet.transports.redis.reader import Reader
from motet.transports.redis.scripts import ACK, JOIN, LEAVE, LOOK, RELEASE, TAKE

_LOOK_S = 0.1  # between two looks at the group: one round trip, which writes once in a while
_DRAIN_S = 10.0  # who leaves without acknowledging what it fetched is given a while

_log = bind(__name__)
_encode = msgspec.json.Encoder().encode
_topics = msgspec.json.Decoder(frozenset[str]).decode


class Membership:
    """One subscriber of a group: the leases it holds, as an async iterator.

    The group lives on the server; every member computes its own share. Leases are handed over
    gently: who has too many stops fetching, commits what it has, and only then frees the
    partition. A member that is not heard of for a session loses its leases to the others.
    """

    def __init__(
        self,
        topics: Collection[str],
        *,
        group: str,
        session_s: float,
        connection: Connection,
        reader: Reader,
        keys: Keys,
        clock: Clock,
        held: Callable[[RedisLease], None],
    ) -> None:
        self._topics = frozenset(topics)
        self._group = group
        self._session_s = session_s
        self._session_us = b"%d" % round(session_s * 1e6)
        self._connection = connection
        self._reader = reader
        self._keys = keys
        self._clock = clock
        self._tell = held
        self._id = 0  # 0: not a member
        self._held: dict[Partition, RedisLease] = {}
        self._new: asyncio.Queue[RedisLease] = asyncio.Queue()
        self._news = asyncio.Event()  # a lease can be given back
        self._heard_s = 0.0  # when the server last heard of us
        self.trouble = ""  # why the group is out of reach; empty when all is well

    def __aiter__(self) -> AsyncIterator[RedisLease]:
        return self

    async def __anext__(self) -> RedisLease:
        return await self._new.get()

    async def join(self) -> None:
        """Become a member; if the server does not answer, `run` goes on trying."""
        try:
            await self._join()
        except TransientError as err:
            self._failed(err)

    async def leave(self) -> None:
        """Give everything back."""
        try:
            await self._note(self._held.values())
            if self._id:
                keys = [*self._group_keys[:2], self._keys.leases(self._group)]
                await self._connection.run(LEAVE, keys, [self._name], object)
        except TransientError as err:  # the others see the session end
            _log.warning("redis.leave", extra={"group": self._group, "error": str(err)})
        self._lose(list(self._held))

    async def run(self) -> None:
        """Keep the membership alive and the shares fair, until cancelled."""
        while True:
            try:
                if not self._id:
                    await self._join()
                await self._balance()
                await self._note(self._held.values())
                self.trouble = ""
            except TransientError as err:
                self._failed(err)
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()

    @property
    def _name(self) -> bytes:
        return b"%d" % self._id

    @property
    def _group_keys(self) -> list[bytes]:
        return [
            self._keys.members(self._group),
            self._keys.subscriptions(self._group),
            self._keys.leases(self._group),
            self._keys.topics,
        ]

    def _failed(self, err: Exception) -> None:
        if not self.trouble:
            _log.warning("redis.group", extra={"group": self._group, "error": str(err)})
        self.trouble = str(err)
        if self._clock.monotonic_s() > self._heard_s + self._session_s:
            self._expire()  # the others take us for dead by now

    def _expire(self) -> None:
        self._lose(list(self._held))
        self._id = 0

    async def _join(self) -> None:
        # At random, so that no member of an earlier life of the server is mistaken for this one.
        member = secrets.randbits(50) + 1
        args = [b"%d" % member, self._session_us, _encode(sorted(self._topics))]
        now_s = self._clock.monotonic_s()
        await self._connection.run(JOIN, self._group_keys[:2], args, object)
        self._id, self._heard_s = member, now_s

    async def _balance(self) -> None:
        now_s = self._clock.monotonic_s()
        beat = now_s >= self._heard_s + self._session_s / 3
        args = [self._name, self._session_us if beat else b"0"]
        seen = await self._connection.run(LOOK, self._group_keys, args, object)
        if not isinstance(seen, list):
            _log.warning("redis.expired", extra={"group": self._group, "member": self._id})
            self._expire()
            self._news.set()  # join again at once
            return
        if beat:
            self._heard_s = now_s
        readers, leases, partitions = _group(*seen)
        self._lose([p for p in self._held if leases.get(p) != self._id])
        for lease in list(self._held.values()):
            if self._finished(lease):
                await self._release(lease)
        for partition in [p for p, member in leases.items() if member == self._id]:
            if partition not in self._held:  # taken, and the answer or what follows it failed
                await self._give_back(partition)
                del leases[partition]
        todo: Plan = plan(self._id, readers=readers, partitions=partitions, leases=leases)
        self._revoke(todo.give)
        if todo.take:
            await self._take(todo.take)

    async def _take(self, wanted: Collection[Partition]) -> None:
        keys = [self._keys.members(self._group), self._keys.leases(self._group)]
        names = [str(partition).encode() for partition in wanted]
        taken = await self._connection.run(TAKE, keys, [self._name, *names], list)
        partitions = [_partition(name) for name in taken]
        create = (b"MKSTREAM", b"ENTRIESREAD", b"0")
        await self._connection.call_many(
            [
                pack((b"XGROUP", b"CREATE", self._keys.stream(p), self._group, b"0-0", *create))
                for p in partitions
            ]  # that a group exists already is said by an error, and all right
        )
        for partition in partitions:
            lease = RedisLease(
                partition,
                self._reader,
                key=self._keys.stream(partition),
                group=self._group,
                member=self._name,
                clock=self._clock,
                drained=self._news.set,
            )
            await claim(self._connection, lease)
            self._held[partition] = lease
            self._reader.add(lease)
            self._tell(lease)
            self._new.put_nowait(lease)

    async def _note(self, leases: Collection[RedisLease]) -> None:
        """Tell the server how far we are: what its own view of the group shows."""
        await settle(self._connection, [lease for lease in leases if lease.claimed])
        moved = [lease for lease in leases if lease.acked != lease.noted and lease.sought]
        if not moved:
            return
        keys = [self._keys.leases(self._group), *(lease.key for lease in moved)]
        args = [self._name, self._group.encode()]
        noted = [lease.acked for lease in moved]
        for lease, offset in zip(moved, noted, strict=True):
            args += (str(lease.partition).encode(), before(offset), b"%d" % offset)
        await self._connection.run(ACK, keys, args, object)
        for lease, offset in zip(moved, noted, strict=True):
            lease.noted = offset

    def _finished(self, lease: RedisLease) -> bool:
        overdue = self._clock.monotonic_s() > lease.revoked_s + _DRAIN_S
        return lease.drained or (lease.revoked and lease.left and overdue)

    async def _release(self, lease: RedisLease) -> None:
        await self._note([lease])
        await self._give_back(lease.partition)
        self._lose([lease.partition])

    async def _give_back(self, partition: Partition) -> None:
        leases = self._keys.leases(self._group)
        args = [self._name, str(partition).encode()]
        await self._connection.run(RELEASE, [leases], args, object)

    def _revoke(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            lease = self._held.get(partition)
            if lease is not None and not lease.revoked:
                lease.revoked = True
                lease.revoked_s = self._clock.monotonic_s()
                lease.ring()  # a fetch that waits returns

    def _lose(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            lease = self._held.pop(partition)
            lease.lost = True
            self._reader.drop(lease)


def _partition(name: bytes) -> Partition:
    topic, _, index = name.decode().rpartition("/")
    return Partition(topic, int(index))


def _group(
    subscriptions: list[bytes], leases: list[bytes], topics: list[bytes]
) -> tuple[dict[int, frozenset[str]], dict[Partition, int], list[Partition]]:
    """Return who reads what, who holds what, and what there is to be read."""
    try:
        readers = {
            int(member): _topics(names)
            for member, names in zip(subscriptions[::2], subscriptions[1::2], strict=True)
        }
        holders = {
            _partition(name): int(member)
            for name, member in zip(leases[::2], leases[1::2], strict=True)
        }
    except (ValueError, msgspec.MsgspecError) as err:
        raise Unavailable(f"the group's keys hold something else: {err}") from err
    wanted = frozenset[str]().union(*readers.values())
    partitions: list[Partition] = []
    for name, value in zip(topics[::2], topics[1::2], strict=True):
        topic = name.decode()
        if topic in wanted:
            partitions += [Partition(topic, n) for n in range(settings(value).partitions)]
    return readers, holders, partitions
