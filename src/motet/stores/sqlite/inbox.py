"""The inbox: ids a group has handled, so that a second copy in the log is passed over."""

from collections.abc import Collection, Set

from motet.core.outcome import Commit
from motet.drivers.sqlite import Database, Transaction, array
from motet.stores.sqlite.rows import text

_FIND = """
SELECT i.id FROM json_each(?) AS k
CROSS JOIN inbox AS i ON i.grp = ? AND i.topic = ? AND i.id = k.value
"""
_REMEMBER = """
INSERT OR IGNORE INTO inbox (grp, topic, id, handled_us) SELECT ?, ?, value, ? FROM json_each(?)
"""


def find(database: Database, group: str, topic: str, ids: Collection[str]) -> Set[str]:
    """Which of these ids the group has handled."""
    if not ids:
        return frozenset()
    return {text(id) for (id,) in database.rows(_FIND, (array(list(ids)), group, topic))}


def remember(tx: Transaction, commit: Commit) -> None:
    """Note the ids that a commit takes charge of."""
    if commit.handled:
        place = (commit.group, commit.partition.topic)
        tx.change(_REMEMBER, (*place, tx.now_us, array(commit.handled)))
