"""The inbox: ids a group has handled, so that a second copy in the log is passed over."""

from collections.abc import Collection, Set

from motet.drivers.postgres import Database
from motet.stores.postgres.texts import original, storable_all

_FIND = """
SELECT i.id FROM unnest($3::text[]) AS k (id)
JOIN inbox AS i ON i.grp = $1 AND i.topic = $2 AND i.id = k.id COLLATE "C"
"""
REMEMBER = """
INSERT INTO inbox (grp, topic, id, handled_us)
SELECT $1, $2, id, $7 FROM unnest($12::text[]) AS k (id) {where} ON CONFLICT DO NOTHING
"""
"""Notes the ids that a commit takes charge of; its parameters are those of a whole commit."""


async def find(database: Database, group: str, topic: str, ids: Collection[str]) -> Set[str]:
    """Which of these ids the group has handled."""
    if not ids:
        return frozenset()
    rows = await database.rows(_FIND, group, topic, storable_all(ids))
    return {original(id) for (id,) in rows}
