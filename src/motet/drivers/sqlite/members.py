"""Members of consumer groups and the partitions they hold, as rows of the file."""

import os
import socket
from collections.abc import Collection, Sequence

import msgspec

from motet.core.event import Partition
from motet.drivers.sqlite.database import Database
from motet.drivers.sqlite.presence import Presence
from motet.drivers.sqlite.statements import Value, array
from motet.drivers.sqlite.transaction import Transaction


class Member(msgspec.Struct, frozen=True):
    """Somebody who reads: one subscription of one process."""

    id: int
    topics: frozenset[str]
    slot: int  # see presence.py
    expires_us: int  # without a heartbeat it is taken for dead then


class Group(msgspec.Struct, frozen=True):
    """A consumer group as it stands in the file."""

    members: Sequence[Member]
    leases: dict[Partition, int]  # who holds what
    partitions: Sequence[Partition]  # of all topics that a member reads


_MEMBERS = "SELECT id, topics, slot, expires_us FROM members WHERE grp = ? ORDER BY id"
_LEASES = "SELECT topic, part, member FROM leases WHERE grp = ?"
_PARTITIONS = """
SELECT topic, part FROM partitions WHERE topic IN (SELECT value FROM json_each(?))
ORDER BY topic, part
"""


def look(rows: "Database | Transaction", group: str) -> Group:
    """Read a group: from outside, or inside a transaction."""
    members = [_member(row) for row in rows.rows(_MEMBERS, (group,))]
    topics = sorted({topic for member in members for topic in member.topics})
    leases = rows.rows(_LEASES, (group,))
    return Group(
        members=members,
        leases={Partition(str(t), _int(p)): _int(member) for t, p, member in leases},
        partitions=[
            Partition(str(t), _int(p)) for t, p in rows.rows(_PARTITIONS, (array(topics),))
        ],
    )


def dead(group: Group, presence: Presence, *, now_us: int) -> set[int]:
    """Members whose process has died, or hangs: no heartbeat for as long as they may."""
    return {m.id for m in group.members if m.expires_us < now_us or not presence.alive(m.slot)}


def join(tx: Transaction, group: str, topics: Collection[str], *, slot: int, ttl_us: int) -> int:
    """Add a member whose process holds `slot`; return its id."""
    return tx.number(
        "INSERT INTO members (grp, topics, slot, host, pid, joined_us, expires_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            group,
            array(sorted(topics)),
            slot,
            socket.gethostname(),
            os.getpid(),
            tx.now_us,
            tx.now_us + ttl_us,
        ),
    )


def beat(tx: Transaction, member: int, ttl_us: int) -> bool:
    """Say that a member lives; return whether it is still one."""
    expires_us = tx.now_us + ttl_us
    return bool(tx.change("UPDATE members SET expires_us = ? WHERE id = ?", (expires_us, member)))


def remove(tx: Transaction, members: Collection[int]) -> None:
    """Remove members; what they held is free."""
    listed = array(sorted(members))
    tx.change("DELETE FROM members WHERE id IN (SELECT value FROM json_each(?))", (listed,))
    tx.change("DELETE FROM leases WHERE member IN (SELECT value FROM json_each(?))", (listed,))


def take(tx: Transaction, group: str, member: int, partitions: Sequence[Partition]) -> None:
    """Give free partitions to a member."""
    tx.change_many(
        "INSERT INTO leases (grp, topic, part, member) VALUES {}",
        "(?, ?, ?, ?)",
        [(group, p.topic, p.index, member) for p in partitions],
    )


def release(tx: Transaction, group: str, member: int, partition: Partition) -> None:
    """Free a partition, if the member holds it."""
    tx.change(
        "DELETE FROM leases WHERE grp = ? AND topic = ? AND part = ? AND member = ?",
        (group, partition.topic, partition.index, member),
    )


def _member(row: Sequence[Value]) -> Member:
    topics = msgspec.json.decode(str(row[1]), type=frozenset[str])
    return Member(_int(row[0]), topics, _int(row[2]), _int(row[3]))


def _int(value: Value) -> int:
    return value if isinstance(value, int) else 0
