"""The inbox: ids a group has handled, so that a second copy in the log is passed over."""

from collections.abc import Collection, Set

from motet.core.outcome import Commit
from motet.drivers.postgres import Database, Transaction

_FIND = """
SELECT i.id FROM unnest($3::text[]) AS k (id)
JOIN inbox AS i ON i.grp = $1 AND i.topic = $2 AND i.id = k.id COLLATE "C"
"""
_REMEMBER = """
INSERT INTO inbox (grp, topic, id, handled_us)
SELECT $1, $2, id, $3 FROM unnest($4::text[]) AS k (id)
ON CONFLICT DO NOTHING
"""


async def find(database: Database, group: str, topic: str, ids: Collection[str]) -> Set[str]:
    """Which of these ids the group has handled."""
    if not ids:
        return frozenset()
    return {row[0] for row in await database.rows(_FIND, group, topic, list(ids))}


async def remember(tx: Transaction, commit: Commit) -> None:
    """Note the ids that a commit takes charge of."""
    if commit.handled:
        place = (commit.group, commit.partition.topic)
        await tx.change(_REMEMBER, *place, tx.now_us, commit.handled)
