"""Which dead letters a command is about."""

from collections.abc import AsyncIterator, Sequence
from typing import Literal

import msgspec

from motet.core.errors import ConfigError, MotetError
from motet.core.ports import DeadLetters, Status, StoredDeadLetter

PAGE = 500  # letters read at once
OPEN = (Status.NEW, Status.REVIEWED)
"""What can still be redriven or archived."""

StatusName = Literal["new", "reviewed", "retried", "archived"]


class Filter(msgspec.Struct, frozen=True):
    """Which dead letters; all conditions given must hold."""

    topic: str | None = None
    group: str | None = None
    code: str | None = None
    status: Status | None = None

    async def page(
        self, letters: DeadLetters, *, after: int, limit: int
    ) -> Sequence[StoredDeadLetter]:
        """Return those with ids above `after`, oldest first."""
        return await letters.list(
            status=self.status,
            topic=self.topic,
            group=self.group,
            code=self.code,
            after=after,
            limit=limit,
        )

    async def pages(
        self, letters: DeadLetters, *, until_us: int
    ) -> AsyncIterator[Sequence[StoredDeadLetter]]:
        """Return all that were there at an instant, a page at a time."""
        after = 0
        while page := await self.page(letters, after=after, limit=PAGE):
            yield [letter for letter in page if letter.created_us <= until_us]
            after = page[-1].id
            if page[-1].created_us > until_us:
                return


def parse_status(name: StatusName | None) -> Status | None:
    """Return the status a user names."""
    return None if name is None else Status[name.upper()]


def parse_ids(texts: Sequence[str]) -> list[int]:
    """Return the ids a user names, each once.

    Raises:
        ConfigError: one is no id.
    """
    for text in texts:
        if not (text.isascii() and text.isdigit() and 0 < len(text) < 19):
            raise ConfigError(f"{text!r} is no id of a dead letter; `motet dlq list` shows them")
    return list(dict.fromkeys(map(int, texts)))


async def chosen(letters: DeadLetters, ids: Sequence[int]) -> Sequence[StoredDeadLetter]:
    """Return the letters with these ids.

    Raises:
        MotetError: one is not there.
    """
    found = await letters.get(ids)
    missing = sorted(set(ids) - {letter.id for letter in found})
    if missing:
        raise MotetError(f"there is no dead letter {missing[0]}; `motet dlq list` shows them")
    return found
