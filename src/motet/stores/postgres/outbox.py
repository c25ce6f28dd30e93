"""The outbox: the article's `outbox_events`, timers included."""

from collections.abc import Collection, Sequence

import asyncpg

from motet.core.codec import decode, encode
from motet.core.errors import CodecError
from motet.core.outcome import DeadLetter, Emit, ErrorInfo
from motet.core.ports import Queued
from motet.drivers.postgres import Database, Transaction
from motet.stores.postgres import letters
from motet.stores.postgres.texts import storable_all

_DUE = """
(SELECT id, event_topic, event_payload, not_before_us FROM outbox_events
 WHERE processed = FALSE AND not_before_us = 0 ORDER BY id LIMIT $2)
UNION ALL
(SELECT id, event_topic, event_payload, not_before_us FROM outbox_events
 WHERE processed = FALSE AND not_before_us BETWEEN 1 AND $1 ORDER BY id LIMIT $2)
ORDER BY id LIMIT $2
"""
_DONE = """
UPDATE outbox_events SET processed = TRUE, processed_at = to_timestamp($1::float8 / 1e6)
WHERE processed = FALSE AND id = ANY($2::bigint[])
"""
_NEXT = "SELECT min(not_before_us) FROM outbox_events WHERE processed = FALSE"
_LEADER = "SELECT owner, until_us FROM relay"
_LEAD = """
INSERT INTO relay AS r (id, owner, until_us) VALUES (1, $1, $2)
ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, until_us = excluded.until_us
WHERE r.owner = excluded.owner OR r.until_us <= $3
"""
INSERT = """
INSERT INTO outbox_events (event_topic, event_key, event_payload, created_at, not_before_us)
SELECT topic, key, payload, to_timestamp($7::float8 / 1e6), not_before_us
FROM unnest($8::text[], $9::text[], $10::text[], $11::bigint[]) WITH ORDINALITY
AS e (topic, key, payload, not_before_us, n) {where} ORDER BY n
"""
"""Queues what a commit emits; its parameters are those of a whole commit."""

Columns = tuple[list[str], list[str], list[str], list[int]]
"""Topics, keys, payloads, and the instants before which nothing is to be published."""


class PostgresOutbox:
    """Events committed but not yet published; conforms to `ports.Outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, *, now_us: int, limit: int) -> Sequence[Queued]:
        """Those to be published by now, in the order they were written.

        A row that is no event, written by somebody's SQL, becomes a dead letter instead.
        """
        queued: list[Queued] = []
        for row in await self._database.rows(_DUE, now_us, limit):
            try:
                queued.append(_queued(row))
            except CodecError as err:
                await self._refuse(row, err)
        return queued

    async def done(self, ids: Collection[int]) -> None:
        """Mark them published. They stay for a day, for people to look at."""
        if ids:
            listed = list(ids)
            await self._database.write(lambda tx: tx.change(_DONE, tx.now_us, listed), single=True)

    async def lead(self, owner: str, *, now_us: int, until_us: int) -> bool:
        """Whether `owner` is the one who publishes; a write only where nobody else leads."""
        for leader, led_until_us in await self._database.rows(_LEADER):
            if leader != owner and led_until_us > now_us:
                return False
        values = (owner, until_us, now_us)
        return await self._database.write(lambda tx: tx.change(_LEAD, *values), single=True) > 0

    async def changed(self, max_wait_s: float) -> None:
        """Return when something was committed by whichever process, or after `max_wait_s`."""
        await self._database.news.wait(max_wait_s)

    async def next_due_us(self) -> int | None:
        """When the next one is due; None: the outbox is empty."""
        ((due_us,),) = await self._database.rows(_NEXT)
        return due_us if isinstance(due_us, int) else None

    async def _refuse(self, row: asyncpg.Record, error: CodecError) -> None:
        row_id, topic, payload, _ = row
        letter = DeadLetter(
            topic=topic,
            partition=-1,
            offset=-1,
            group="",
            key="",
            event_type="",
            value=payload.encode(),
            error=ErrorInfo("CodecError", f"outbox_events.id {row_id}: {error}"),
        )
        dlq_id = self._database.ids.next()

        async def work(tx: Transaction) -> None:
            if await tx.change(_DONE, tx.now_us, [row_id]):
                await letters.insert(tx, [letter], [dlq_id])

        await self._database.write(work)


def columns(emits: Sequence[Emit]) -> Columns:
    """Return what emits are in the outbox, a list for each column."""
    return (
        [emit.topic for emit in emits],
        storable_all(emit.event.key for emit in emits),
        [encode(emit.event).decode() for emit in emits],
        [max(0, emit.not_before_us) for emit in emits],
    )


def _queued(row: asyncpg.Record) -> Queued:
    row_id, topic, payload, not_before_us = row
    return Queued(row_id, Emit(topic, decode(payload.encode()), not_before_us))
