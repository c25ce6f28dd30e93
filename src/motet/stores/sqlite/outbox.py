"""The outbox: the article's `outbox_events`, timers included."""

from collections.abc import Collection, Sequence

from motet.core.clock import format_time
from motet.core.codec import decode, encode
from motet.core.errors import CodecError
from motet.core.outcome import DeadLetter, Emit, ErrorInfo
from motet.core.ports import Queued
from motet.drivers.sqlite import Database, Transaction, Value, array
from motet.stores.sqlite import letters
from motet.stores.sqlite.rows import blob, text, whole

_DUE = """
SELECT * FROM (
  SELECT id, event_topic, event_payload, not_before_us FROM outbox_events
  WHERE processed = FALSE AND not_before_us = 0 ORDER BY id LIMIT ?2
) UNION ALL SELECT * FROM (
  SELECT id, event_topic, event_payload, not_before_us FROM outbox_events
  WHERE processed = FALSE AND not_before_us BETWEEN 1 AND ?1 ORDER BY id LIMIT ?2
) ORDER BY id LIMIT ?2
"""
_DONE = """
UPDATE outbox_events SET processed = TRUE, processed_at = ?
WHERE processed = FALSE AND id IN (SELECT value FROM json_each(?))
"""
_LEAD = """
INSERT INTO relay (id, owner, until_us) VALUES (1, ?1, ?2)
ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, until_us = excluded.until_us
WHERE relay.owner = excluded.owner OR relay.until_us <= ?3
"""
_INSERT = (
    "INSERT INTO outbox_events (event_topic, event_key, event_payload, created_at, not_before_us)"
    " VALUES {}"
)


class SqliteOutbox:
    """Events committed but not yet published; conforms to `ports.Outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, *, now_us: int, limit: int) -> Sequence[Queued]:
        """Those to be published by now, in the order they were written.

        A row that is no event, written by somebody's SQL, becomes a dead letter instead.
        """
        rows = self._database.rows(_DUE, (now_us, limit))
        queued: list[Queued] = []
        for row in rows:
            try:
                queued.append(_queued(row))
            except CodecError as err:
                await self._refuse(row, err)
        return queued

    async def done(self, ids: Collection[int]) -> None:
        """Mark them published. They stay for a day, for people to look at."""
        if ids:
            listed = array(list(ids))
            await self._database.write(
                lambda tx: tx.change(_DONE, (format_time(tx.now_us), listed))
            )

    async def lead(self, owner: str, *, now_us: int, until_us: int) -> bool:
        """Whether `owner` is the one who publishes; a write only where nobody else leads."""
        found = self._database.rows("SELECT owner, until_us FROM relay")
        if found and text(found[0][0]) != owner and whole(found[0][1]) > now_us:
            return False
        return await self._database.write(
            lambda tx: tx.change(_LEAD, (owner, until_us, now_us)) > 0
        )

    async def changed(self, max_wait_s: float) -> None:
        """Return when something was committed by whichever process, or after `max_wait_s`."""
        await self._database.watch.wait(max_wait_s)

    async def next_due_us(self) -> int | None:
        """When the next one is due; None: the outbox is empty."""
        ((due_us,),) = self._database.rows(
            "SELECT min(not_before_us) FROM outbox_events WHERE processed = FALSE"
        )
        return None if due_us is None else whole(due_us)

    async def _refuse(self, row: tuple[Value, ...], error: CodecError) -> None:
        letter = DeadLetter(
            topic=text(row[1]),
            partition=-1,
            offset=-1,
            group="",
            key="",
            event_type="",
            value=blob(row[2]),
            error=ErrorInfo("CodecError", f"outbox_events.id {whole(row[0])}: {error}"),
        )

        dlq_id = self._database.ids.next()

        def work(tx: Transaction) -> None:
            if tx.change(_DONE, (format_time(tx.now_us), array([row[0]]))):
                letters.insert(tx, [letter], [dlq_id])

        await self._database.write(work)


def insert(tx: Transaction, emits: Sequence[Emit], payloads: Sequence[bytes]) -> None:
    """Queue events; `payloads` are theirs, encoded."""
    created = format_time(tx.now_us)
    rows = [
        (emit.topic, emit.event.key, payload, created, max(0, emit.not_before_us))
        for emit, payload in zip(emits, payloads, strict=True)
    ]
    tx.change_many(_INSERT, "(?, ?, CAST(? AS TEXT), ?, ?)", rows)


def payloads(emits: Sequence[Emit]) -> list[bytes]:
    """Return the events encoded, for `insert`."""
    return [encode(emit.event) for emit in emits]


def _queued(row: tuple[Value, ...]) -> Queued:
    row_id, topic, payload, not_before_us = row
    emit = Emit(text(topic), decode(blob(payload)), whole(not_before_us))
    return Queued(whole(row_id), emit)
