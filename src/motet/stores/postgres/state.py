"""State: values with versions, compared and set."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NoReturn

import asyncpg
import msgspec

from motet.core.errors import WrongVersion
from motet.core.outcome import Put
from motet.core.ports import Versioned
from motet.drivers.postgres import Database, Transaction
from motet.stores.postgres.texts import original, storable_all

_GET = """
SELECT s.key, s.value, s.version FROM unnest($2::text[]) AS k (key)
JOIN state AS s ON s.namespace = $1 AND s.key = k.key COLLATE "C" WHERE s.value IS NOT NULL
"""
# A removed value keeps its row, without a value, so that one made again is never taken for it.
# In the order of keys, so that two writers of the same ones do not lock each other out.
_CREATE = """
INSERT INTO state AS s (namespace, key, value, version, updated_us)
SELECT $1, key, value, writes, $2
FROM unnest($3::text[], $4::bytea[], $5::bigint[]) AS w (key, value, writes)
ORDER BY key COLLATE "C"
ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value,
version = s.version + excluded.version, updated_us = excluded.updated_us
WHERE s.value IS NULL RETURNING s.key
"""
_UPDATE = """
UPDATE state AS s SET value = w.value, version = s.version + w.writes, updated_us = $2
FROM unnest($3::text[], $4::bytea[], $5::bigint[], $6::bigint[])
AS w (key, value, writes, expected)
WHERE s.namespace = $1 AND s.key = w.key COLLATE "C" AND s.version = w.expected
AND s.value IS NOT NULL RETURNING s.key
"""


class PostgresState:
    """Committed values of one namespace; conforms to `ports.StateReader`."""

    def __init__(self, database: Database, namespace: str) -> None:
        self._database = database
        self._namespace = namespace

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Versioned]:
        """Values by key, in one query; missing keys are missing from the answer."""
        if not keys:
            return {}
        rows = await self._database.rows(_GET, self._namespace, storable_all(keys))
        return {original(key): Versioned(value, version) for key, value, version in rows}


class Write(msgspec.Struct, frozen=True):
    """What the puts of one key come to."""

    key: str
    value: bytes | None
    expected: int  # 0: not there
    writes: int  # how many they were


def merged(puts: Iterable[Put]) -> tuple[list[Write], WrongVersion | None]:
    """Return one write per key, and what is wrong with the puts among themselves.

    Puts of one key are a chain: each later one expects one more than the one before, or 0 after
    a removal.
    """
    wrong: WrongVersion | None = None
    writes: dict[str, Write] = {}
    reckoned: dict[str, int] = {}
    for put in puts:
        before = writes.get(put.key)
        if before is None:
            writes[put.key] = Write(put.key, put.value, put.expected, 1)
        else:
            if put.expected != reckoned[put.key]:
                wrong = wrong or WrongVersion(
                    put.key, expected=put.expected, found=reckoned[put.key]
                )
            writes[put.key] = Write(put.key, put.value, before.expected, before.writes + 1)
        reckoned[put.key] = put.expected + 1 if put.value is not None else 0
    return list(writes.values()), wrong


async def write(tx: Transaction, namespace: str, writes: Sequence[Write]) -> None:
    """Write values, all of them at the versions expected.

    Raises:
        WrongVersion: one is not; it names the first.
    """
    done: list[asyncpg.Record] = []
    if new := [w for w in writes if not w.expected]:
        done += await tx.rows(_CREATE, namespace, tx.now_us, *_columns(new))
    if old := [w for w in writes if w.expected]:
        expected = [w.expected for w in old]
        done += await tx.rows(_UPDATE, namespace, tx.now_us, *_columns(old), expected)
    if len(done) != len(writes):
        written = {original(key) for (key,) in done}
        await _refuse(tx, namespace, next(w for w in writes if w.key not in written))


def _columns(writes: Sequence[Write]) -> tuple[list[str], list[bytes | None], list[int]]:
    return (
        storable_all(w.key for w in writes),
        [w.value for w in writes],
        [w.writes for w in writes],
    )


async def _refuse(tx: Transaction, namespace: str, wrong: Write) -> NoReturn:
    rows = await tx.rows(_GET, namespace, storable_all([wrong.key]))
    found = next((version for _, _, version in rows), 0)
    raise WrongVersion(wrong.key, expected=wrong.expected, found=found)
