"""State: values with versions, compared and set."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from motet.core.errors import WrongVersion
from motet.core.outcome import Put
from motet.core.ports import Versioned
from motet.drivers.sqlite import Database, Recheck, Transaction, array
from motet.stores.sqlite.rows import blob, text, whole

_GET = """
SELECT s.key, CAST(s.value AS BLOB), s.version FROM json_each(?) AS k
CROSS JOIN state AS s ON s.namespace = ? AND s.key = k.value WHERE s.value IS NOT NULL
"""
# A removed value keeps its row, without a value, so that one made again is never taken for it.
_CREATE = """
INSERT INTO state (namespace, key, value, version, updated_us) VALUES {}
ON CONFLICT (namespace, key) DO UPDATE
SET value = excluded.value, version = version + excluded.version, updated_us = excluded.updated_us
WHERE state.value IS NULL
"""
_UPDATE = """
UPDATE state SET value = v.column3, version = version + v.column5, updated_us = v.column6
FROM (VALUES {}) AS v WHERE state.namespace = v.column1 AND state.key = v.column2
AND state.version = v.column4 AND state.value IS NOT NULL
"""


class SqliteState:
    """Committed values of one namespace; conforms to `ports.StateReader`."""

    def __init__(self, database: Database, namespace: str) -> None:
        self._database = database
        self._namespace = namespace

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Versioned]:
        """Values by key, in one query; missing keys are missing from the answer."""
        if not keys:
            return {}
        rows = self._database.rows(_GET, (array(list(keys)), self._namespace))
        return {text(key): Versioned(blob(value), whole(version)) for key, value, version in rows}


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
                wrong = WrongVersion(put.key, expected=put.expected, found=reckoned[put.key])
            writes[put.key] = Write(put.key, put.value, before.expected, before.writes + 1)
        reckoned[put.key] = put.expected + 1 if put.value is not None else 0
    return list(writes.values()), wrong


def write(tx: Transaction, namespace: str, writes: Sequence[Write]) -> None:
    """Write values, all of them at the versions expected.

    Raises:
        WrongVersion: one is not.
    """
    if tx.careful:
        _check(tx, namespace, writes)
    new = [(namespace, w.key, w.value, w.writes, tx.now_us) for w in writes if not w.expected]
    old = [
        (namespace, w.key, w.value, w.expected, w.writes, tx.now_us) for w in writes if w.expected
    ]
    changed = tx.change_many(_CREATE, "(?, ?, CAST(? AS TEXT), ?, ?)", new)
    changed += tx.change_many(_UPDATE, "(?, ?, CAST(? AS TEXT), ?, ?, ?)", old)
    if changed != len(writes):
        raise Recheck


def _check(tx: Transaction, namespace: str, writes: Sequence[Write]) -> None:
    found = {
        text(key): whole(version)
        for key, version in tx.rows(
            "SELECT s.key, s.version FROM json_each(?) AS k CROSS JOIN state AS s"
            " ON s.namespace = ? AND s.key = k.value WHERE s.value IS NOT NULL",
            (array([w.key for w in writes]), namespace),
        )
    }
    for each in writes:
        if found.get(each.key, 0) != each.expected:
            raise WrongVersion(each.key, expected=each.expected, found=found.get(each.key, 0))
