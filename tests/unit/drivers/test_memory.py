import asyncio

from motet.core.event import Partition
from motet.testing import SimClock, make_event, make_events, simulate
from motet.transports.memory import MemoryLog, MemoryTransport

PLACE = Partition("t", 0)


def test_bytes_that_are_no_event_keep_their_place() -> None:
    async def program(clock: SimClock) -> None:
        log = MemoryLog(clock, partitions=1)
        log.append("t", make_events(2))
        log.append_broken(PLACE, b"\xff", error="byte 0: not JSON")
        log.append("t", make_events(1, first=2))
        batch = log.read(PLACE, offset=1, limit=2)
        assert [r.offset for r in batch.records] == [1]
        assert [(b.offset, b.value) for b in batch.broken] == [(2, b"\xff")]
        assert batch.end == 3
        assert [r.offset for r in log.read(PLACE, offset=3, limit=9).records] == [3]

    simulate(program, seed=1)


def test_what_is_older_than_the_retention_is_forgotten_with_its_id() -> None:
    async def program(clock: SimClock) -> None:
        log = MemoryLog(clock)
        log.create("t", partitions=1, retention_s=60)
        log.append("t", make_events(2))
        await clock.sleep(40)
        log.append("t", [make_event(2)])
        await clock.sleep(40)
        assert log.append("t", make_events(3)) == 2
        (info,) = log.infos()
        assert (info.starts, info.ends, info.events) == ((2,), (5,), 3)
        batch = log.read(PLACE, offset=0, limit=2)
        assert [r.offset for r in batch.records] == [2, 3]

    simulate(program, seed=1)


def test_an_expired_lease_goes_to_the_next_of_the_group() -> None:
    async def program(clock: SimClock) -> None:
        transport = MemoryTransport(MemoryLog(clock, partitions=1))
        await transport.publish("t", make_events(1))
        async with (
            transport.subscribe(["t"], group="g") as one,
            transport.subscribe(["t"], group="g") as two,
        ):
            held = await anext(one)
            transport.expire("g", PLACE)
            taken = await anext(two)
            assert await held.fetch(max_records=1, max_wait_s=10) is None
            batch = await taken.fetch(max_records=1, max_wait_s=10)
            assert batch is not None
            assert len(batch.records) == 1
            transport.expire("g", PLACE)
            assert (await anext(one)).partition == PLACE

    simulate(program, seed=1)


def test_the_only_one_of_a_group_gets_an_expired_lease_again() -> None:
    async def program(clock: SimClock) -> None:
        transport = MemoryTransport(MemoryLog(clock, partitions=1))
        await transport.publish("t", make_events(1))
        async with transport.subscribe(["t"], group="g") as leases, asyncio.timeout(10):
            held = await anext(leases)
            transport.expire("g", PLACE)
            assert await held.fetch(max_records=1, max_wait_s=10) is None
            assert (await anext(leases)).partition == PLACE

    simulate(program, seed=1)
