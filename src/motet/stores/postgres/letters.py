"""Rows of the article's `dead_letter_queue`: how a letter is written and read."""

import base64
from collections.abc import Sequence

import asyncpg
import msgspec

from motet.core.outcome import DeadLetter, ErrorInfo
from motet.core.ports import Status, StoredDeadLetter
from motet.drivers.postgres import Transaction
from motet.stores.postgres.texts import original, queryable, storable

_US = "(extract(epoch FROM {}) * 1000000)::bigint"
SELECT = (
    "SELECT id, dlq_id::text, original_event::text, error_info::text, retry_count,"
    f" {_US.format('created_at')}, status, reviewed_by, {_US.format('reviewed_at')},"
    ' resolution_notes, topic, part, "offset", grp, event_key, event_type, first_failed_us,'
    " original_bytes FROM dead_letter_queue"
)
_INSERT = """
INSERT INTO dead_letter_queue (created_at, dlq_id, original_event, original_bytes, error_info,
  retry_count, topic, part, "offset", grp, event_key, event_type, first_failed_us)
SELECT to_timestamp($1::float8 / 1e6), dlq_id::uuid, original_event::jsonb, original_bytes,
  error_info::jsonb, retry_count, topic, part, "offset", grp, event_key, event_type,
  first_failed_us
FROM unnest($2::text[], $3::text[], $4::bytea[], $5::text[], $6::int[], $7::text[], $8::int[],
  $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bigint[]) WITH ORDINALITY
AS d (dlq_id, original_event, original_bytes, error_info, retry_count, topic, part, "offset", grp,
  event_key, event_type, first_failed_us, n) ORDER BY n
"""


async def insert(tx: Transaction, letters: Sequence[DeadLetter], ids: Sequence[str]) -> None:
    """Keep letters, `ids` being their new UUIDs."""
    if not letters:
        return
    rows = [
        (
            dlq_id,
            _original(letter.value),
            letter.value,
            queryable(msgspec.json.encode(letter.error)),
            letter.attempts - 1,
            letter.topic,
            letter.partition,
            letter.offset,
            letter.group,
            storable(letter.key),
            storable(letter.event_type),
            letter.first_failed_us,
        )
        for letter, dlq_id in zip(letters, ids, strict=True)
    ]
    await tx.change(_INSERT, tx.now_us, *map(list, zip(*rows, strict=True)))


def stored(row: asyncpg.Record) -> StoredDeadLetter:
    """Return a row of `SELECT`; what people's SQL left out is empty."""
    letter = DeadLetter(
        topic=row[10],
        partition=row[11],
        offset=row[12],
        group=row[13],
        key=original(row[14]),
        event_type=original(row[15]),
        value=row[2].encode() if row[17] is None else row[17],
        error=_error(row[3]),
        attempts=(row[4] or 0) + 1,
        first_failed_us=row[16],
    )
    return StoredDeadLetter(
        id=row[0],
        dlq_id=row[1],
        letter=letter,
        status=_status(row[6]),
        created_us=row[5] or 0,
        reviewed_by=row[7] or "",
        reviewed_us=row[8] or 0,
        resolution_notes=row[9] or "",
    )


def _error(text: str) -> ErrorInfo:
    try:
        return msgspec.json.decode(text, type=ErrorInfo)
    except msgspec.MsgspecError:
        return ErrorInfo("", text)


def _status(name: str | None) -> Status:
    # People set it by SQL; what they wrote wrong is open until they correct it.
    return Status.__members__.get(name or "", Status.REVIEWED)


def _original(value: bytes) -> str:
    """The column original_event: the bytes as JSON, for people and their SQL."""
    try:
        msgspec.json.decode(value)
        return queryable(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return msgspec.json.encode({"base64": base64.b64encode(value)}).decode()
