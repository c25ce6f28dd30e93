"""Reads ahead for all leases of a subscription, over one connection.

One XREAD waits for every partition that wants more. Those that have enough are left out, so that
what is in hand is bounded; when one of them wants more again while the others have nothing to
give, the server is asked to end the wait.
"""

import asyncio
from collections.abc import Collection, Iterable

from motet.core.errors import MotetError, TransientError
from motet.core.ports import Clock
from motet.telemetry import bind
from motet.transports.redis.connection import Connection, pack
from motet.transports.redis.entries import Entry
from motet.transports.redis.keys import before, offset_of
from motet.transports.redis.lease import RedisLease
from motet.transports.redis.scripts import INFO

_BLOCK_S = 2.0  # a connection that is dead is found out by this and the timeout
_READ_BYTES = 4 << 20  # about as much of one partition at a time
_PAUSE_S = 0.05

_log = bind(__name__)


class Reader:
    """Fills leases, until cancelled; conforms to `lease.Feeder`."""

    def __init__(self, connection: Connection, control: Connection, *, clock: Clock) -> None:
        self.down: MotetError | None = None
        self._connection = connection
        self._control = control
        self._clock = clock
        self._leases: dict[bytes, RedisLease] = {}
        self._reading: dict[bytes, int] | None = None  # where a read that waits goes on from
        self._poked = asyncio.Event()
        self._wanted = asyncio.Event()
        self._entry_bytes = 0.0  # of an entry, about

    def add(self, lease: RedisLease) -> None:
        """Read for a lease, once somebody said where from."""
        self._leases[lease.key] = lease

    def drop(self, lease: RedisLease) -> None:
        """Read no more for it."""
        if self._leases.get(lease.key) is lease:
            del self._leases[lease.key]
        lease.ring()

    def poke(self) -> None:
        """A lease wants something else than is being read."""
        self._wanted.set()
        self._poked.set()

    async def run(self) -> None:
        """Read, until cancelled."""
        while True:
            wanting = [lease for lease in self._leases.values() if lease.wanting]
            if not wanting:
                self._wanted.clear()
                await self._wanted.wait()
                continue
            try:
                await self._place([lease for lease in wanting if not lease.placed])
                await self._read(wanting)
                self.down = None
            except MotetError as err:
                if self.down is None:
                    _log.warning("redis.read", extra={"error": str(err)})
                self.down = err
                for lease in self._leases.values():
                    lease.ring()
                await self._clock.sleep(_PAUSE_S)

    async def interrupt(self) -> None:
        """End waits for the wrong partitions, until cancelled."""
        while True:
            await self._poked.wait()
            self._poked.clear()
            try:
                while self._waits_in_vain():
                    request = pack((b"CLIENT", b"UNBLOCK", self._connection.id))
                    if await self._control.call(request, int):
                        break
                    await self._clock.sleep(0.001)  # it is on its way to the server
            except TransientError:
                pass  # then the read fails as well, or ends by itself

    def _waits_in_vain(self) -> bool:
        if self._reading is None:
            return False
        return any(
            lease.wanting and self._reading.get(lease.key) != lease.next
            for lease in self._leases.values()
        )

    async def _read(self, wanting: Collection[RedisLease]) -> None:
        self._reading = {lease.key: lease.next for lease in wanting}
        places = dict(self._reading)
        packed = pack(
            (
                *(b"XREAD", b"COUNT", self._count(wanting), b"BLOCK", round(_BLOCK_S * 1000)),
                *(b"STREAMS", *places, *map(before, places.values())),
            )
        )
        try:
            reply = await self._connection.call(packed, object, timeout_s=_BLOCK_S)
        finally:
            self._reading = None
        if not isinstance(reply, list):
            await self._place(wanting)
            return
        for key, entries in reply:
            lease = self._leases.get(key)
            if lease is not None and lease.next == places[key]:
                self._fill(lease, entries)

    def _fill(self, lease: RedisLease, entries: list[Entry]) -> None:
        last, fields = entries[-1]
        after = offset_of(last, lease.key) + 1
        self._entry_bytes = max(0.9 * self._entry_bytes, 1.0 * sum(map(len, fields)))
        lease.put(entries, after)

    def _count(self, wanting: Iterable[RedisLease]) -> int:
        most = max(lease.asked for lease in wanting)
        return max(1, min(most, round(_READ_BYTES / max(1.0, self._entry_bytes))))

    async def _place(self, leases: Collection[RedisLease]) -> None:
        """Move those on whose partition has let go of what they want, and has nothing else."""
        if not leases:
            return
        keys = [lease.key for lease in leases]
        places = await self._control.run(INFO, keys, [], list)
        for lease, (start, end, _, _) in zip(leases, places, strict=True):
            lease.placed = True
            if start == end and lease.next < start:
                lease.skip(start)
            elif lease.next > end >= 0 and not lease.warned:
                lease.warned = True
                _log.error(
                    "redis.data_lost",
                    extra={
                        "partition": str(lease.partition),
                        "group": lease.group,
                        "next": lease.next,
                        "end": end,
                        "look": "the server forgot events: see appendonly and appendfsync",
                    },
                )
