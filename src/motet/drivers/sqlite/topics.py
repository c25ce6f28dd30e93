"""Topics: creating, listing, and forgetting what is older than their retention."""

from collections.abc import Sequence

import apsw
import msgspec

from motet.core.errors import ConfigError
from motet.core.ports import TopicInfo
from motet.drivers.sqlite.log import Topic
from motet.drivers.sqlite.statements import array
from motet.drivers.sqlite.transaction import Transaction


def find(conn: apsw.Connection, name: str) -> Topic | None:
    """Return a topic that exists."""
    row = conn.execute("SELECT id, partitions FROM topics WHERE name = ?", (name,)).fetchone()
    return None if row is None else Topic(row[0], name, row[1])


def ensure(tx: Transaction, name: str, partitions: int) -> Topic:
    """Return a topic, made with `partitions` if it does not exist."""
    tx.change(
        "INSERT OR IGNORE INTO topics (name, partitions, created_us) VALUES (?, ?, ?)",
        (name, partitions, tx.now_us),
    )
    found = tx.rows("SELECT id, partitions FROM topics WHERE name = ?", (name,))
    topic = msgspec.convert((found[0][0], name, found[0][1]), tuple[int, str, int])
    tx.change(
        "INSERT OR IGNORE INTO partitions (topic, part) SELECT ?, value FROM json_each(?)",
        (name, array(list(range(topic[2])))),
    )
    return Topic(*topic)


def create(tx: Transaction, name: str, partitions: int, retention_us: int | None) -> Topic:
    """Return a topic with the retention given, made if it does not exist.

    Raises:
        ConfigError: it has another number of partitions.
    """
    topic = ensure(tx, name, partitions)
    if topic.partitions != partitions:
        raise ConfigError(
            f"topic {name!r} has {topic.partitions} partitions, not {partitions}: "
            "keys would move; use another topic"
        )
    tx.change("UPDATE topics SET retention_us = ? WHERE name = ?", (retention_us, name))
    return topic


def infos(conn: apsw.Connection) -> Sequence[TopicInfo]:
    """All topics by name."""
    parts: dict[str, list[tuple[int, int, int]]] = {}
    for topic, start, next_, size in conn.execute(
        "SELECT topic, start, next, size_bytes FROM partitions ORDER BY topic, part"
    ):
        parts.setdefault(topic, []).append((start, next_, size))
    return [
        TopicInfo(
            name=name,
            partitions=partitions,
            retention_s=None if retention_us is None else retention_us / 1e6,
            events=sum(next_ - start for start, next_, _ in parts[name]),
            size_bytes=sum(size for _, _, size in parts[name]),
            ends=tuple(next_ for _, next_, _ in parts[name]),
            starts=tuple(start for start, _, _ in parts[name]),
        )
        for name, partitions, retention_us in conn.execute(
            "SELECT name, partitions, retention_us FROM topics ORDER BY name"
        )
    ]


_OLD = """
SELECT l.id, t.id, l.topic, l.part, l.first + l.count, length(l.body), l.kind
FROM topics AS t CROSS JOIN partitions AS p ON p.topic = t.name
CROSS JOIN log AS l ON l.topic = p.topic AND l.part = p.part
WHERE t.retention_us IS NOT NULL AND l.first = p.start AND l.appended_us < ? - t.retention_us
"""


def trim(tx: Transaction, blocks: int) -> int:
    """Forget up to `blocks` blocks older than their topic's retention; return how many it were.

    Oldest first within each partition, whole blocks with the ids of their events.
    """
    done = 0
    while done < blocks:
        old = tx.rows(_OLD, (tx.now_us,))
        for row, topic, name, part, end, size, kind in old:
            if kind == 0:
                tx.change(
                    "DELETE FROM event_ids WHERE topic = ? AND id IN"
                    " (SELECT e.value ->> '$.eventId' FROM log, json_each(CASE"
                    " WHEN json_valid(CAST(body AS TEXT)) THEN CAST(body AS TEXT) ELSE '[]' END"
                    ") AS e WHERE log.id = ?)",
                    (topic, row),
                )
            tx.change("DELETE FROM log WHERE id = ?", (row,))
            tx.change(
                "UPDATE partitions SET start = ?, size_bytes = size_bytes - ?"
                " WHERE topic = ? AND part = ?",
                (end, size, name, part),
            )
        done += len(old)
        if not old:
            break
    return done
