"""A process at an SQLite file, for tests: `python sqlite_child.py ROLE PATH [ARGUMENT]`.

It says what it has done on standard output, one line each, only once it is durable.
"""

import asyncio
import sys

import msgspec

from motet.core.clock import SystemClock
from motet.core.errors import Fenced
from motet.core.event import Event
from motet.core.outcome import Commit, Emit, Outcome
from motet.core.ports import Lease
from motet.stores.sqlite import Database, SqliteStore, open_database
from motet.testing.events import make_event, make_events
from motet.transports.sqlite import SqliteTransport

CLOCK = SystemClock()


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def publish(database: Database, first: str) -> None:
    """Publish numbered events in batches of 10, for ever; say the number of the next."""
    transport = SqliteTransport(database)
    number = int(first)
    while True:
        await transport.publish("in", make_events(10, keys=7, first=number))
        number += 10
        say(number)


async def work(database: Database, ttl_s: str) -> None:
    """Answer each event of "in" by one in "out"; say the number of the source event."""
    transport, store = SqliteTransport(database, ttl_s=float(ttl_s)), SqliteStore(database)
    async with transport.subscribe(["in"], group="g") as leases, asyncio.TaskGroup() as tasks:
        async for lease in leases:
            say(f"lease {lease.partition.index}")
            tasks.create_task(_pump(store, lease), name=str(lease.partition))


async def _pump(store: SqliteStore, lease: Lease) -> None:
    while True:
        try:
            return await _go_on(store, lease)
        except Fenced:
            say("fenced")


async def _go_on(store: SqliteStore, lease: Lease) -> None:
    progress = await store.progress("g", lease.partition)
    await lease.seek(progress.next)
    version = progress.version
    while (batch := await lease.fetch(max_records=20, max_wait_s=1.0)) is not None:
        if not batch.records:
            continue
        emits = tuple(Emit("out", _answer(record.event)) for record in batch.records)
        outcome = Outcome(emits=emits)
        commit = Commit("g", lease.partition, version, batch.end, outcomes=(outcome,))
        await store.commit(commit)
        version += 1
        await lease.ack(batch.end)
        for record in batch.records:
            say(int(record.event.id[-12:]))


def _answer(event: Event) -> Event:
    return msgspec.structs.replace(event, id=event.id.replace("019b7600", "019b7601"))


async def append(database: Database, stream: str) -> None:
    """Append 100 times three events to a stream of one's own."""
    streams = SqliteStore(database).streams
    for number in range(100):
        events = [make_event(3 * number + n, id=f"{stream}-{3 * number + n}") for n in range(3)]
        await streams.append(stream, events)
    say("done")


async def hold(database: Database, _: str) -> None:
    """Take the turn to write, and keep it."""
    with database.presence.turn():
        say("mine")
        await CLOCK.sleep(3600.0)


async def main(role: str, path: str, argument: str = "") -> None:
    async with open_database(f"sqlite:///{path}", clock=CLOCK) as database:
        roles = {"publish": publish, "work": work, "append": append, "hold": hold}
        await roles[role](database, argument)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
