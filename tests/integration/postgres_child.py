"""A process at a PostgreSQL store, for tests: `python postgres_child.py URL LAST`.

It takes a group through a partition, one record at a time and against whoever else does, until
LAST are done; then it says how many of the steps were its own.
"""

import asyncio
import sys

from motet.core.clock import SystemClock
from motet.core.errors import Fenced
from motet.core.event import Partition
from motet.core.outcome import Append, Commit, Emit, Outcome, Put
from motet.stores.postgres import PostgresStore, open_database
from motet.testing.events import make_event

PLACE = ("g", Partition("t", 0))


async def main(url: str, last: str) -> None:
    own = 0
    async with open_database(url, clock=SystemClock()) as database:
        store = PostgresStore(database)
        while (progress := await store.progress(*PLACE)).next < int(last):
            event = make_event(progress.next)
            outcome = Outcome(
                emits=(Emit("out", event),),
                appends=(Append("s", (event,)),),
                puts=(Put("count", b"%d" % (progress.next + 1), progress.next),),
            )
            commit = Commit(*PLACE, progress.version, progress.next + 1, outcomes=(outcome,))
            try:
                await store.commit(commit)
            except Fenced:
                continue
            own += 1
    sys.stdout.write(f"{own}\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
