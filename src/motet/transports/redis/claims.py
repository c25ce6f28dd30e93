"""Taking over from another program's consumers of the same group.

They read with XREADGROUP, so the server has a list of what was delivered to each and not
acknowledged. When a partition is leased here, those entries are claimed, and acknowledged once the
group is past them; where nothing else says how far the group is, the oldest of them does.
"""

from collections.abc import Collection

from motet.transports.redis.connection import Connection, pack
from motet.transports.redis.keys import NOTHING, offset_of
from motet.transports.redis.lease import RedisLease

_CONSUMER = b"motet"
_AT_ONCE = 1000


async def claim(connection: Connection, lease: RedisLease) -> None:
    """Make what other consumers left unacknowledged ours, however long ago it was delivered.

    Raises:
        Unavailable: the server does not answer.
    """
    pending = await connection.call(pack((b"XPENDING", lease.key, lease.group)), list)
    if not pending[0]:
        return
    cursor = NOTHING
    while True:
        request = (b"XAUTOCLAIM", lease.key, lease.group, _CONSUMER, 0, cursor)
        options = (b"COUNT", _AT_ONCE, b"JUSTID")
        cursor, ids, *_ = await connection.call(pack((*request, *options)), list)
        lease.claimed += [offset_of(id, lease.key) for id in ids]
        if cursor == NOTHING:
            return


async def settle(connection: Connection, leases: Collection[RedisLease]) -> None:
    """Acknowledge what was claimed and is done.

    Raises:
        Unavailable: the server does not answer.
    """
    for lease in leases:
        done = [offset for offset in lease.claimed if offset < lease.acked]
        for first in range(0, len(done), _AT_ONCE):
            ids = [b"1-%d" % offset for offset in done[first : first + _AT_ONCE]]
            await connection.call(pack((b"XACK", lease.key, lease.group, *ids)), int)
        lease.claimed = [offset for offset in lease.claimed if offset >= lease.acked]


async def adopted(connection: Connection, key: bytes, group: str) -> int:
    """Return the offset that a group goes on with where only the server's own view knows.

    Raises:
        Unavailable: the server does not answer.
        ConfigError: the stream is another program's.
    """
    requests = [pack((b"XINFO", b"GROUPS", key)), pack((b"XPENDING", key, group))]
    groups, pending = await connection.call_many(requests)
    if not isinstance(groups, list) or not isinstance(pending, list):
        return 0  # there is no such stream, or no such group
    if pending[0]:
        return offset_of(pending[1], key)
    for flat in groups:
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        if found[b"name"] == group.encode() and found[b"last-delivered-id"] != NOTHING:
            return offset_of(found[b"last-delivered-id"], key) + 1
    return 0
