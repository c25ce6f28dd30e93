"""Rows of the article's `dead_letter_queue`: how a letter is written and read."""

import base64
from collections.abc import Sequence

import msgspec

from motet.core.clock import format_time
from motet.core.outcome import DeadLetter, ErrorInfo
from motet.core.ports import Status, StoredDeadLetter
from motet.drivers.sqlite import Transaction, Value
from motet.stores.sqlite.rows import blob, instant_us, json, text, whole

SELECT = (
    "SELECT id, dlq_id, original_event, error_info, retry_count, created_at, status, reviewed_by,"
    ' reviewed_at, resolution_notes, topic, part, "offset", grp, event_key, event_type,'
    " first_failed_us, original_bytes FROM dead_letter_queue"
)
_INSERT = (
    "INSERT INTO dead_letter_queue (dlq_id, original_event, original_bytes, error_info,"
    ' retry_count, created_at, topic, part, "offset", grp, event_key, event_type,'
    " first_failed_us) VALUES {}"
)
_ROW = "(" + ", ".join(["?"] * 13) + ")"


def insert(tx: Transaction, letters: Sequence[DeadLetter], ids: Sequence[str]) -> None:
    """Keep letters, `ids` being their new UUIDs."""
    created = format_time(tx.now_us)
    rows = [
        (
            dlq_id,
            *_original(letter.value),
            msgspec.json.encode(letter.error).decode(),
            letter.attempts - 1,
            created,
            letter.topic,
            letter.partition,
            letter.offset,
            letter.group,
            letter.key,
            letter.event_type,
            letter.first_failed_us,
        )
        for letter, dlq_id in zip(letters, ids, strict=True)
    ]
    tx.change_many(_INSERT, _ROW, rows)


def stored(row: tuple[Value, ...]) -> StoredDeadLetter:
    """Return a row of `SELECT`."""
    letter = DeadLetter(
        topic=text(row[10]),
        partition=whole(row[11]),
        offset=whole(row[12]),
        group=text(row[13]),
        key=text(row[14]),
        event_type=text(row[15]),
        value=blob(row[2] if row[17] is None else row[17]),
        error=json(row[3], ErrorInfo, default=ErrorInfo("", text(row[3]))),
        attempts=whole(row[4]) + 1,
        first_failed_us=whole(row[16]),
    )
    return StoredDeadLetter(
        id=whole(row[0]),
        dlq_id=text(row[1]),
        letter=letter,
        status=_status(text(row[6])),
        created_us=instant_us(row[5]),
        reviewed_by=text(row[7]),
        reviewed_us=instant_us(row[8]) if row[8] is not None else 0,
        resolution_notes=text(row[9]),
    )


def _status(name: str) -> Status:
    # People set it by SQL; what they wrote wrong is open until they correct it.
    return Status[name] if name in Status.__members__ else Status.REVIEWED


def _original(value: bytes) -> tuple[str, bytes | None]:
    """The columns original_event and original_bytes: the bytes as JSON, and as they are."""
    try:
        msgspec.json.decode(value)
        return value.decode(), None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        shown = base64.b64encode(value).decode()
        return msgspec.json.encode({"base64": shown}).decode(), value
