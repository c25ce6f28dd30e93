import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.backends import Backends, connect
from motet.cli import reading
from motet.cli.reading import Entry, Reader, last
from motet.core.event import Event, Partition
from motet.testing import make_event, make_events

TOPIC = "t"


def anything(event: Event) -> bool:
    return True


async def places(backends: Backends) -> tuple[dict[Partition, int], dict[Partition, int]]:
    [topic] = await backends.transport.topics()
    at = [Partition(TOPIC, index) for index in range(topic.partitions)]
    return dict(zip(at, topic.starts, strict=True)), dict(zip(at, topic.ends, strict=True))


def ids(entries: list[Entry]) -> list[str]:
    return [entry.event.id for entry in entries if entry.event]


async def read(backends: Backends) -> list[Entry]:
    starts, ends = await places(backends)
    reader = Reader(backends.transport, starts, wanted=anything)
    return [entry async for entry in reader.entries(ends)]


async def test_all_partitions_are_read_in_order_of_time(backends: Backends) -> None:
    events = make_events(50, keys=20)
    await backends.transport.publish(TOPIC, events)

    assert ids(await read(backends)) == [event.id for event in events]


async def test_a_partition_keeps_its_order_whatever_the_times_say(backends: Backends) -> None:
    late_first = [make_event(9, key="k"), make_event(1, key="k")]
    await backends.transport.publish(TOPIC, late_first)

    assert ids(await read(backends)) == [event.id for event in late_first]


async def test_reading_stops_at_the_end_that_was_asked_for(backends: Backends) -> None:
    await backends.transport.publish(TOPIC, make_events(3))
    starts, ends = await places(backends)
    await backends.transport.publish(TOPIC, make_events(3, first=3))

    reader = Reader(backends.transport, starts, wanted=anything)
    first = [entry async for entry in reader.entries(ends)]
    rest = [entry async for entry in reader.entries()]

    assert ids(first) + ids(rest) == [event.id for event in make_events(6)]
    assert len(first) == 3


async def test_stopping_in_the_middle_loses_nothing(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_PAGE", 2)
    events = make_events(30, keys=10)
    await backends.transport.publish(TOPIC, events)
    starts, _ = await places(backends)
    reader = Reader(backends.transport, starts, wanted=anything)
    found: list[Entry] = []

    while len(found) < len(events):
        async for entry in reader.entries():
            found.append(entry)
            if len(found) % 7 == 0:
                break

    assert ids(found) == [event.id for event in events]


@given(
    total=st.integers(0, 60),
    count=st.integers(0, 70),
    keys=st.integers(1, 9),
    step=st.integers(1, 9),
)
async def test_the_last_are_the_last_of_those_wanted(
    total: int, count: int, keys: int, step: int
) -> None:
    events = [
        make_event(n, key=f"k{n % keys}", type="rare" if n % step == 0 else "often")
        for n in range(total)
    ]
    async with connect("memory://") as backends:
        await backends.transport.publish(TOPIC, [make_event(10_000), *events])
        starts, ends = await places(backends)

        found = await last(
            backends.transport,
            starts,
            ends,
            count=count,
            wanted=lambda event: event.type == "rare",
        )

    rare = [event.id for event in events if event.type == "rare"]
    assert ids(found) == rare[max(0, len(rare) - count) :]
