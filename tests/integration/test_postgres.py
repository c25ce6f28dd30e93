"""The PostgreSQL store where processes race, servers die and people write SQL."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from motet import App, Draft, State, emit
from motet.backends import connect
from motet.core.clock import SystemClock
from motet.core.errors import CodecError, ConfigError, MotetError, TransientError, Unavailable
from motet.core.event import Partition
from motet.core.outcome import Append, Commit, Emit, Outcome, Put
from motet.core.ports import Transport
from motet.drivers.postgres import upkeep
from motet.stores.postgres import Database, PostgresStore, diagnose, open_database
from motet.testing.contracts.steps import GROUP, PARTITION, emits, letter, park, puts, queued, step
from motet.testing.events import make_event, make_events
from motet.testing.simulation import until
from scripts.services import Postgres
from tests.postgres import execute, fresh, schema
from tests.services import own, real, valkey

CHILD = Path(__file__).with_name("postgres_child.py")
CLOCK = SystemClock()
PATIENCE_S = 40.0
FAR_US = 2**53


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    async with open_database(url, clock=CLOCK) as database:
        yield PostgresStore(database)


async def work(store: PostgresStore, partition: Partition, last: int) -> None:
    """Take a group through a partition, ten events a step, whatever happens to the server."""
    place = (GROUP, partition)
    while True:
        try:
            progress = await store.progress(*place)
            first = progress.next
            if first >= last:
                return
            events = [make_event(100_000 * partition.index + first + n) for n in range(10)]
            key = f"count-{partition.index}"
            found = (await store.state(GROUP).get_many([key])).get(key)
            outcome = Outcome(
                emits=tuple(Emit("out", event) for event in events),
                appends=(Append(f"s{partition.index}", tuple(events)),),
                puts=(Put(key, b"%d" % (first + 10), found.version if found else 0),),
            )
            await store.commit(Commit(*place, progress.version, first + 10, outcomes=(outcome,)))
        except TransientError:
            await CLOCK.sleep(0.05)


@pytest.mark.slow
@pytest.mark.kill
@pytest.mark.timeout(120)
async def test_a_server_killed_under_load_loses_nothing_and_work_goes_on_by_itself() -> None:
    last, parts = 600, 3
    server_of = own(Postgres)
    server = await asyncio.to_thread(server_of.__enter__)
    try:
        async with opened(server.url) as store, asyncio.TaskGroup() as tasks:
            for index in range(parts):
                tasks.create_task(work(store, Partition("t", index), last), name=f"work {index}")
            for mark in (50, 250):
                await _reached(store, mark)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
        async with opened(server.url) as store:
            ids = await queued(store, limit=100_000)
            recorded = await store.streams.read_all(limit=100_000)
            counts = await store.state(GROUP).get_many([f"count-{n}" for n in range(parts)])
    finally:
        await asyncio.to_thread(server_of.__exit__, None, None, None)
    expected = {make_event(100_000 * index + n).id for index in range(parts) for n in range(last)}
    assert len(ids) == len(recorded) == len(expected)
    assert set(ids) == {each.event.id for each in recorded} == expected
    assert {each.value for each in counts.values()} == {b"600"}


async def _reached(store: PostgresStore, next_: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if any(place.next >= next_ for place in await store.groups()):
                    return
            except TransientError:
                pass
            await CLOCK.sleep(0.01)


@pytest.mark.slow
async def test_a_server_that_hangs_is_unavailable_in_time_and_used_again_when_it_is_back() -> None:
    server_of = own(Postgres)
    server = await asyncio.to_thread(server_of.__enter__)
    try:
        async with opened(f"{server.url}?timeout=0.5") as store:
            await store.commit(step(0))
            pids = _family(server)
            for pid in pids:
                _signal(pid, signal.SIGSTOP)
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises(Unavailable):
                    await store.commit(step(1))
                with pytest.raises(Unavailable):
                    await store.progress(GROUP, PARTITION)
            for pid in pids:
                _signal(pid, signal.SIGCONT)
            version = await _version(store)
            await store.commit(step(version))
    finally:
        await asyncio.to_thread(server_of.__exit__, None, None, None)
    assert version in (1, 2)  # nobody knew, and now it is known


async def _version(store: PostgresStore) -> int:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return (await store.progress(GROUP, PARTITION)).version
            except TransientError:
                await CLOCK.sleep(0.05)


def _family(server: Postgres) -> list[int]:
    """The server's process and those it has forked, the youngest first."""
    parent = server.process.pid
    assert parent is not None
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [*map(int, reversed(children)), parent]


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@pytest.mark.slow
async def test_two_processes_that_race_on_one_group_do_each_step_once() -> None:
    last = 150
    async with schema() as url:
        async with asyncio.timeout(PATIENCE_S):
            own_steps = await _race(url, last)
        async with opened(url) as store:
            assert sum(own_steps) == last
            assert await queued(store) == [make_event(n).id for n in range(last)]
            recorded = await store.streams.read_all(limit=1000)
            assert [each.event.id for each in recorded] == [make_event(n).id for n in range(last)]


async def _race(url: str, last: int) -> list[int]:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, str(CHILD), url, str(last), stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    return [int((await process.communicate())[0]) for process in processes]


async def test_a_commit_wakes_relays_of_other_processes() -> None:
    async with (
        schema() as url,
        opened(url) as here,
        opened(url) as there,
        asyncio.timeout(PATIENCE_S),
        asyncio.TaskGroup() as tasks,
    ):
        waiting = tasks.create_task(there.outbox.changed(10 * PATIENCE_S), name="waiting")
        version = 0
        while not waiting.done():  # it may not listen yet
            await here.commit(step(version, outcomes=emits(("a", version, 0))))
            version += 1
            await CLOCK.sleep(0.02)


async def test_many_may_open_a_new_schema_at_once() -> None:
    async with schema() as url, asyncio.TaskGroup() as tasks:
        for n in range(6):
            tasks.create_task(_open_and_commit(url, n), name=f"open {n}")


async def _open_and_commit(url: str, n: int) -> None:
    async with opened(url) as store:
        await store.commit(step(0, partition=Partition("t", n)))


async def test_a_schema_made_by_a_newer_motet_is_refused() -> None:
    async with schema() as url:
        name = url.partition("schema=")[2]
        async with opened(url):
            pass
        newer = f"INSERT INTO {name}.schema_migrations VALUES (9999, '9999_x.sql', 0)"
        await execute(real("postgres"), newer)
        with pytest.raises(ConfigError, match="made by a newer Motet"):
            async with opened(url):
                pass
        assert not (await diagnose(url)).usable


async def test_tables_of_another_program_are_left_alone() -> None:
    async with schema() as url:
        name = url.partition("schema=")[2]
        sql = f"CREATE SCHEMA {name}; CREATE TABLE {name}.state (mine INT)"
        await execute(real("postgres"), sql)
        with pytest.raises(ConfigError, match="schema of its own with"):
            async with opened(url):
                pass


@pytest.mark.parametrize("change", [("motet:motet@", "motet:hunter2@"), ("/motet", "/nowhere")])
async def test_a_wrong_password_or_database_is_a_config_error_without_the_password(
    change: tuple[str, str],
) -> None:
    url = real("postgres").replace(*change)
    with pytest.raises(ConfigError) as caught:
        async with opened(url):
            pass
    assert "hunter2" not in str(caught.value)
    assert ":motet@" not in str(caught.value)


async def test_connections_that_the_server_ends_are_replaced() -> None:
    async with schema() as url, opened(url) as store:
        for version in range(3):
            await _again(store, version)
            await execute(
                real("postgres"),
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE pid <> pg_backend_pid() AND query LIKE '%progress%' AND pid IN ({_OURS})",
            )
        assert await _version(store) == 3


_OURS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'motet' AND state = 'idle'"


async def _again(store: PostgresStore, version: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await _version(store)) == version:
            try:
                await store.commit(step(version))
            except MotetError:
                await CLOCK.sleep(0.01)


async def test_what_nobody_needs_again_is_forgotten() -> None:
    async with fresh() as database:
        store = PostgresStore(database)
        await store.commit(step(0, outcomes=puts(("a", b"1", 0), ("b", b"2", 0)), handled=("x",)))
        await store.commit(step(1, outcomes=puts(("a", None, 1)) + emits(("o", 1, 0), ("o", 2, 0))))
        (first, _) = await store.outbox.due(now_us=FAR_US, limit=9)
        await store.outbox.done([first.id])
        assert await _sizes(database) == (2, 2, 1)
        await database.write(upkeep.forget)
        assert await _sizes(database) == (2, 2, 1)
        await _age(database)
        await database.write(upkeep.forget)
        assert await _sizes(database) == (1, 1, 0)


async def _sizes(database: Database) -> tuple[int, ...]:
    (row,) = await database.rows(
        "SELECT (SELECT count(*) FROM state), (SELECT count(*) FROM outbox_events),"
        " (SELECT count(*) FROM inbox)"
    )
    return tuple(row)


async def _age(database: Database) -> None:
    """Let everything be eight days older."""
    await database.rows("UPDATE state SET updated_us = updated_us - 8 * 86400000000")
    await database.rows("UPDATE inbox SET handled_us = handled_us - 8 * 86400000000")
    await database.rows("UPDATE outbox_events SET processed_at = processed_at - INTERVAL '8 days'")


async def test_rows_that_people_wrote_are_read() -> None:
    async with fresh() as database:
        store = PostgresStore(database)
        await database.rows(
            "INSERT INTO agent_events (event_type, session_id, event_sequence, payload)"
            """ VALUES ('agent.session.started', 's', 1, '{"a": 1}')"""
        )
        await database.rows(
            "INSERT INTO outbox_events (event_topic, event_payload) VALUES ('t', '{}')"
        )
        (recorded,) = await store.streams.read("s")
        assert (recorded.event.type, bytes(recorded.event.data)) == (
            "agent.session.started",
            b'{"a": 1}',
        )
        assert await queued(store) == []
        (kept,) = await store.dead_letters.list()
        assert (kept.letter.topic, kept.letter.value) == ("t", b"{}")


@pytest.mark.parametrize(
    "text",
    [
        r'{"a":"\u0000"}',
        r'{"a":"\\u0000"}',
        '{"b":1,  "a":1.10}',
        "1e99999",
        "1e-99999",
        "[1E+400]",
    ],
)
async def test_what_jsonb_cannot_hold_is_kept_to_the_byte(text: str) -> None:
    event = msgspec.structs.replace(make_event(1), data=msgspec.Raw(text.encode()))
    dead = letter(1, value=text.encode())
    async with fresh() as database:
        store = PostgresStore(database)
        outcome = Outcome(appends=(Append("s", (event,)),), emits=(Emit("t", event),))
        await store.commit(step(0, outcomes=(outcome,), dead=(dead,)))
        (recorded,) = await store.streams.read("s")
        (kept,) = await store.dead_letters.list()
        (waiting,) = await store.outbox.due(now_us=0, limit=9)
    assert recorded.event == waiting.emit.event == event
    assert kept.letter == dead


async def test_names_with_a_nul_are_names_like_others() -> None:
    names = ["a\0b", "a\1b", "a\1\2b", "\0", "\1", "\0\1\0", "\1\1\2", "ab"]
    async with fresh() as database:
        store = PostgresStore(database)
        outcomes = tuple(
            Outcome(
                emits=(Emit("o", make_event(n, key=name)),),
                appends=(Append(name, (make_event(n, key=name),)),),
                puts=(Put(name, b"%d" % n, 0),),
            )
            for n, name in enumerate(names)
        )
        parks = tuple(park(n, name) for n, name in enumerate(names))
        dead = tuple(letter(n, name) for n, name in enumerate(names))
        commit = step(0, outcomes=outcomes, parks=parks, dead=dead, handled=tuple(names))
        await store.commit(commit)
        found = await store.state(GROUP).get_many(names)
        assert {name: int(each.value) for name, each in found.items()} == {
            name: n for n, name in enumerate(names)
        }
        assert (await store.progress(GROUP, PARTITION)).parked_keys == set(names)
        assert await store.handled(GROUP, "t", [*names, "b"]) == set(names)
        assert [each.stream for each in await store.streams.read_all()] == names
        assert [each.letter for each in await store.dead_letters.list()] == list(dead)
        for n, name in enumerate(names):
            (recorded,) = await store.streams.read(name)
            assert recorded.event == make_event(n, key=name)


async def test_what_cannot_be_stored_is_refused_and_its_company_is_not() -> None:
    async with fresh() as database:
        store = PostgresStore(database)
        bad = step(0, partition=Partition("t", 9), outcomes=puts(("\ud800", b"1", 0)))
        async with asyncio.TaskGroup() as tasks:
            for n in range(8):
                good = step(0, partition=Partition("t", n), outcomes=puts((f"k{n}", b"1", 0)))
                tasks.create_task(store.commit(good), name=f"good {n}")
            refused = tasks.create_task(_refused(store, bad), name="bad")
        assert "cannot hold a value" in refused.result()
        assert len(await store.groups()) == 8


async def _refused(store: PostgresStore, commit: Commit) -> str:
    with pytest.raises(CodecError) as caught:
        await store.commit(commit)
    return str(caught.value)


@pytest.mark.slow
async def test_workers_at_a_broker_share_the_store() -> None:
    total = 200
    async with schema() as store_url:
        where = f"{valkey()}?prefix={store_url.partition('schema=')[2]}:"
        async with (
            connect(where, store=store_url) as one,
            connect(where, store=store_url) as two,
        ):
            await one.transport.create_topic("in", partitions=4)
            await one.transport.create_topic("out", partitions=1)
            async with (
                counting().run(one.transport, one.store),
                counting().run(two.transport, two.store),
            ):
                await one.transport.publish("in", make_events(total, keys=20))
                await until(lambda: _published(one.transport, total), CLOCK)
            batch = await one.transport.read(Partition("out", 0), offset=0, limit=10 * total)
            counts = await two.store.state("counting").get_many([f"k{n}" for n in range(20)])
    sources = [record.event.causation_id for record in batch.records]
    assert sorted(set(sources)) == [make_event(n).id for n in range(total)]
    assert [int(each.value) for each in counts.values()] == [total // 20] * 20


def counting() -> App:
    app = App("counting")

    @app.on("in")
    def count(number: int, state: State) -> Draft:
        state.put((state.get(int) or 0) + 1)
        return emit("out", number, type="number.counted")

    return app


async def _published(transport: Transport, total: int) -> bool:
    batch = await transport.read(Partition("out", 0), offset=0, limit=10 * total)
    return len({record.event.id for record in batch.records}) == total
