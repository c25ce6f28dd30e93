"""Which dead letters `redrive` and `archive` are about, and what becomes of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from cyclopts import Group, Parameter

from motet.cli.console import Console
from motet.cli.letters import OPEN, Filter, chosen
from motet.cli.options import Flag
from motet.core.errors import ConfigError
from motet.core.ports import DeadLetters, Status, StoredDeadLetter

Act = Callable[[Sequence[int]], Awaitable[int]]
"""Does it to the letters with these ids; returns to how many."""


class Done(msgspec.Struct, frozen=True):
    """What became of the letters."""

    done: int = 0
    left: int = 0  # open, and yet left as they are
    closed: int = 0  # redriven or archived before

    def plus(self, other: "Done") -> "Done":
        """Return the sum."""
        return Done(self.done + other.done, self.left + other.left, self.closed + other.closed)


@Parameter(name="*", group=Group("Options", sort_key=1))
@dataclass(frozen=True)
class Choice:
    """Which dead letters, where no ids are given."""

    topic: str | None = None
    """All open ones of this topic."""

    group: str | None = None
    """All open ones of this consumer group."""

    code: str | None = None
    """All open ones with this error code."""

    all: Annotated[bool, Flag] = False
    """All open ones."""

    yes: Annotated[bool, Flag] = False
    """Do not ask before --all."""

    def check(self, ids: Sequence[int]) -> None:
        """Refuse what names no letters, or names them twice over.

        Raises:
            ConfigError: not exactly one of ids, conditions and --all is given.
        """
        conditions = any((self.topic, self.group, self.code))
        if bool(ids) + conditions + self.all != 1:
            raise ConfigError(
                "name dead letters by id, or by --topic, --group and --code, or give --all; "
                "`motet dlq list` shows them"
            )

    def confirmed(self, console: Console, verb: str) -> bool:
        """Ask the person who is there before all are touched.

        Raises:
            ConfigError: nobody is there to be asked.
        """
        if self.yes or not self.all:
            return True
        if not console.interactive:
            raise ConfigError(f"--all, and no terminal to ask at; add --yes to {verb} all of them")
        if console.ask(f"{verb.capitalize()} all open dead letters?"):
            return True
        console.error("nothing was done")
        return False

    async def apply(
        self, letters: DeadLetters, ids: Sequence[int], act: Act, *, now_us: int
    ) -> Done:
        """Act on the open ones of those chosen, as far as they are there now.

        Raises:
            MotetError: there is no letter with one of the ids.
        """
        if ids:
            return await _act(await chosen(letters, ids), act)
        total = Done()
        for status in OPEN:
            wanted = Filter(self.topic, self.group, self.code, status)
            # What fails again while we are at it is not redriven again.
            async for page in wanted.pages(letters, until_us=now_us):
                total = total.plus(await _act(page, act))
        return total


async def _act(found: Sequence[StoredDeadLetter], act: Act) -> Done:
    numbers = [letter.id for letter in found if _open(letter.status)]
    done = await act(numbers) if numbers else 0
    return Done(done, len(numbers) - done, len(found) - len(numbers))


def _open(status: Status) -> bool:
    return status in OPEN
