"""Several processes at one file, some of them killed with SIGKILL or stopped."""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from motet.core.checks import State
from motet.core.clock import SystemClock
from motet.core.errors import Unavailable
from motet.core.event import Partition
from motet.core.ports import Recorded
from motet.drivers.sqlite import database as database_module
from motet.stores.sqlite import Database, SqliteStore, diagnose
from motet.testing.events import make_event, make_events
from motet.transports.sqlite import SqliteTransport
from tests.sqlite import opened

CHILD = Path(__file__).with_name("sqlite_child.py")
CLOCK = SystemClock()
PATIENCE_S = 40.0


class Child:
    """A process, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def read(self) -> None:
        """Take down what it says, up to its end."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            if line.endswith(b"\n"):
                self.lines.append(line.decode().strip())

    async def until(self, reached: Callable[[list[str]], bool]) -> None:
        """Wait until its lines satisfy a condition."""
        async with asyncio.timeout(PATIENCE_S):
            while not reached(self.lines):
                assert self.process.returncode is None, self.lines[-5:]
                await CLOCK.sleep(0.005)

    def kill(self) -> None:
        self.process.kill()


@asynccontextmanager
async def child(role: str, path: Path, argument: object = "") -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), role, str(path), str(argument), stdout=asyncio.subprocess.PIPE
    )
    this = Child(process)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(this.read(), name=role)
            try:
                yield this
            finally:
                if process.returncode is None:
                    process.kill()
    finally:
        await process.wait()


async def numbers(database: Database, topic: str) -> list[int]:
    """Numbers of the events in a topic, partition by partition."""
    transport = SqliteTransport(database)
    (info,) = [each for each in await transport.topics() if each.name == topic]
    found: list[int] = []
    for index in range(info.partitions):
        batch = await transport.read(Partition(topic, index), offset=0, limit=1_000_000)
        found += [int(record.event.id[-12:]) for record in batch.records]
    return found


def leases(lines: list[str]) -> set[str]:
    return {line for line in lines if line.startswith("lease")}


def sound(path: Path) -> bool:
    diagnosis = diagnose(f"sqlite:///{path}", now_us=CLOCK.now_us())
    return all(each.state is State.OK for each in diagnosis.checks if each.name != "member")


async def test_two_processes_publish_and_consume_one_file(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with opened(path) as database:
        await database.topic("in")
        async with child("publish", path, 0) as publisher, child("work", path, 15) as worker:
            await worker.until(lambda lines: len(lines) > 3000)
            publisher.kill()
            await publisher.process.wait()
            published = len(await numbers(database, "in"))
            await worker.until(lambda lines: len(done(lines)) == published)
        inward, outward = await numbers(database, "in"), await numbers(database, "out")
    assert published >= int(publisher.lines[-1])
    assert sorted(inward) == list(range(published))
    assert outward == inward  # the same partitions, the same order, none lost and none twice
    assert sound(path)


async def test_a_killed_owner_is_replaced_before_its_time_is_up(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with opened(path) as database:
        await SqliteTransport(database).publish("in", make_events(100, keys=40))
        async with child("work", path, 3600) as first:
            await first.until(lambda lines: len(leases(lines)) == 8)
            async with child("work", path, 3600) as second:
                await second.until(lambda lines: len(leases(lines)) == 4)
                first.kill()
                await second.until(lambda lines: len(leases(lines)) == 8)
                await SqliteTransport(database).publish("in", make_events(100, keys=40, first=100))
                answered = set(range(200)).issubset
                await second.until(lambda lines: answered(done(first.lines + lines)))
        assert sorted(await numbers(database, "out")) == list(range(200))


async def test_a_stopped_owner_is_replaced_when_its_time_is_up_and_then_fenced(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.db"
    async with opened(path) as database:
        await SqliteTransport(database).publish("in", make_events(100, keys=40))
        async with child("work", path, 1) as first:
            await first.until(lambda lines: len(done(lines)) == 100)
            first.process.send_signal(signal.SIGSTOP)
            async with child("work", path, 1) as second:
                await second.until(lambda lines: len(leases(lines)) == 8)
                first.process.send_signal(signal.SIGCONT)
                await SqliteTransport(database).publish("in", make_events(500, keys=40, first=100))
                everything = set(range(600)).issubset
                async with asyncio.timeout(PATIENCE_S):
                    while not everything(done(first.lines + second.lines)):
                        await CLOCK.sleep(0.01)
        assert sorted(await numbers(database, "out")) == list(range(600))


@pytest.mark.kill
@pytest.mark.parametrize("seed", range(6))
async def test_a_kill_in_the_middle_of_commits_loses_nothing_acknowledged(
    tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "m.db"
    lot = random.Random(seed)
    acknowledged, first = 0, 0
    answered: set[int] = set()
    for _ in range(3):
        async with child("publish", path, first) as publisher, child("work", path, 15) as worker:
            lines = lot.randrange(5, 150)
            await publisher.until(lambda said, lines=lines: len(said) >= lines)  # type: ignore[misc]
            for victim in lot.sample([publisher, worker], 2):
                victim.kill()
        acknowledged = int(publisher.lines[-1])
        answered |= done(worker.lines)
        assert sound(path)
        async with opened(path) as database:
            inward = await numbers(database, "in")
            outward = await numbers(database, "out") if answered else []
        first = len(inward)
        assert sorted(inward) == list(range(first))
        assert acknowledged <= first
        assert answered <= set(outward)
        assert len(outward) == len(set(outward))
        assert set(outward) <= set(inward)


async def test_racing_processes_never_make_positions_visible_out_of_order(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    seen: list[Recorded] = []
    async with opened(path) as database:
        streams = SqliteStore(database).streams
        async with child("append", path, "a") as one, child("append", path, "b") as other:
            async with asyncio.timeout(PATIENCE_S):
                while one.lines != ["done"] or other.lines != ["done"]:
                    seen += await streams.read_all(after=seen[-1].position if seen else 0, limit=50)
                    await CLOCK.sleep(0)
        seen += await streams.read_all(after=seen[-1].position if seen else 0)
        everything = await streams.read_all()
    assert len(everything) == 600
    assert [each.position for each in seen] == [each.position for each in everything]


async def test_a_process_that_keeps_the_turn_makes_others_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.db"
    monkeypatch.setattr(database_module, "_PATIENCE_S", 0.2)
    async with opened(path) as database:
        transport = SqliteTransport(database)
        await database.topic("in")
        async with child("hold", path) as holder:
            await holder.until(lambda lines: lines == ["mine"])
            with pytest.raises(Unavailable, match=r"fuser .*m\.db"):
                await transport.publish("in", [make_event(1)])
            holder.kill()
            await holder.process.wait()
            assert await transport.publish("in", [make_event(2)]) == 1
        assert await numbers(database, "in") == [2]


async def test_the_doctor_knows_who_lives(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    async with opened(path) as database:
        await database.topic("in")
        async with child("work", path, 15) as worker:
            await worker.until(lambda lines: len(leases(lines)) == 8)
            alive = diagnose(f"sqlite:///{path}", now_us=CLOCK.now_us())
            worker.kill()
            await worker.process.wait()
            gone = diagnose(f"sqlite:///{path}", now_us=CLOCK.now_us())
    assert alive.members == 1
    assert alive.checks[-1].state is State.OK
    assert f"process {worker.process.pid} " in alive.checks[-1].found
    assert "8 partitions: alive" in alive.checks[-1].found
    assert gone.members == 0
    assert gone.checks[-1].state is State.WARN
    assert "its process is gone" in gone.checks[-1].found


def done(lines: list[str]) -> set[int]:
    """Numbers of the events that were answered."""
    return {int(line) for line in lines if line.isdecimal()}
