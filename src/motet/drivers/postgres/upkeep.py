"""What the database forgets in the background: rows nobody needs again."""

from motet.drivers.postgres.transaction import Transaction

EVERY_S = 30.0
_ROWS = 5_000  # at a time: others write in between

_HOUR_US = 3_600_000_000
# A removed state value keeps its version for as long as an outcome computed before may come in.
_REMOVED_US = _HOUR_US
_PROCESSED_US = 24 * _HOUR_US
# How late a second copy of an event may come: as long as Kafka keeps what it is not told about.
_HANDLED_US = 7 * 24 * _HOUR_US

_MINE = "SELECT pg_try_advisory_xact_lock(hashtextextended('motet.upkeep.' || current_schema(), 0))"
_TASKS = (
    (
        _REMOVED_US,
        "DELETE FROM state WHERE ctid = ANY(ARRAY(SELECT ctid FROM state"
        " WHERE value IS NULL AND updated_us < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))",
    ),
    (
        _PROCESSED_US,
        "DELETE FROM outbox_events WHERE ctid = ANY(ARRAY(SELECT ctid FROM outbox_events"
        " WHERE processed = TRUE AND processed_at < to_timestamp($1::float8 / 1e6) LIMIT $2))",
    ),
    (
        _HANDLED_US,
        "DELETE FROM inbox WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbox"
        " WHERE handled_us < $1 LIMIT $2))",
    ),
)


async def forget(tx: Transaction) -> bool:
    """Forget a little; return whether there may be more. One process does it at a time."""
    if not await tx.one(_MINE):
        return False
    more = False
    for age_us, task in _TASKS:
        more |= await tx.change(task, tx.now_us - age_us, _ROWS) >= _ROWS
    return more
