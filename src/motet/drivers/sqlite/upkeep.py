"""What the file forgets in the background: blocks past retention, and rows nobody needs again."""

from motet.drivers.sqlite import topics
from motet.drivers.sqlite.transaction import Transaction

EVERY_S = 30.0
_STEP = 32  # blocks or some hundred rows at a time: others write in between

_HOUR_US = 3_600_000_000
# A removed state value keeps its version for as long as an outcome computed before may come in.
_REMOVED_US = _HOUR_US
_PROCESSED_US = 24 * _HOUR_US
# How late a second copy of an event may come: as long as Kafka keeps what it is not told about.
_HANDLED_US = 7 * 24 * _HOUR_US

_TASKS = (
    "DELETE FROM state WHERE (namespace, key) IN (SELECT namespace, key FROM state"
    " WHERE value IS NULL AND updated_us < ? - {removed} LIMIT {rows})",
    "DELETE FROM outbox_events WHERE id IN (SELECT id FROM outbox_events WHERE processed = TRUE"
    " AND processed_at < strftime('%Y-%m-%dT%H:%M:%fZ', (? - {processed}) / 1e6, 'unixepoch')"
    " LIMIT {rows})",
    "DELETE FROM inbox WHERE (grp, topic, id) IN (SELECT grp, topic, id FROM inbox"
    " WHERE handled_us < ? - {handled} LIMIT {rows})",
)


def forget(tx: Transaction) -> bool:
    """Forget a little; return whether there may be more."""
    more = topics.trim(tx, _STEP) >= _STEP
    rows = _STEP * 32
    for task in _TASKS:
        sql = task.format(
            removed=_REMOVED_US, processed=_PROCESSED_US, handled=_HANDLED_US, rows=rows
        )
        more |= tx.change(sql, (tx.now_us,)) >= rows
    return more
