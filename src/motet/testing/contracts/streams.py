"""The contract of an event store: one order per stream, and one over all without late gaps."""

# ruff: noqa: D102 - the name of a test is its documentation

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from motet.core.errors import WrongVersion
from motet.core.ports import EventStore, Recorded
from motet.testing.contracts.consuming import CLOCK, background
from motet.testing.events import make_event, make_events


class EventStoreContract:
    """Everything an event store owes."""

    def make(self) -> AbstractAsyncContextManager[EventStore]:
        """Return a fresh, empty event store; closed when the block is left."""
        raise NotImplementedError

    async def test_a_stream_that_was_never_written_is_empty(self) -> None:
        async with self.make() as streams:
            assert list(await streams.read("s")) == []
            assert list(await streams.read_all()) == []

    async def test_events_of_a_stream_are_read_in_order_with_versions(self) -> None:
        async with self.make() as streams:
            assert await streams.append("s", [make_event(1)]) == 1
            assert await streams.append("s", [make_event(2), make_event(3)]) == 3
            found = await streams.read("s")
        assert [r.event for r in found] == [make_event(n) for n in (1, 2, 3)]
        assert [(r.stream, r.version) for r in found] == [("s", 1), ("s", 2), ("s", 3)]

    async def test_a_stream_can_be_read_in_pages(self) -> None:
        async with self.make() as streams:
            await streams.append("s", make_events(10))
            first = await streams.read("s", limit=4)
            second = await streams.read("s", after=first[-1].version, limit=4)
            last = await streams.read("s", after=second[-1].version, limit=4)
            assert list(await streams.read("s", after=10)) == []
        assert [r.version for r in (*first, *second, *last)] == list(range(1, 11))

    async def test_streams_do_not_mix(self) -> None:
        async with self.make() as streams:
            assert await streams.append("a", [make_event(1)]) == 1
            assert await streams.append("b", [make_event(2)]) == 1
            assert await streams.append("a", [make_event(3)]) == 2
            found = await streams.read("a")
        assert [r.event.id for r in found] == [make_event(1).id, make_event(3).id]

    async def test_positions_are_over_all_streams_in_the_order_of_appending(self) -> None:
        async with self.make() as streams:
            for number in range(9):
                await streams.append(f"s{number % 3}", [make_event(number)])
            found = await streams.read_all()
            later = await streams.read_all(after=found[3].position, limit=2)
        assert [r.event.id for r in found] == [make_event(n).id for n in range(9)]
        positions = [r.position for r in found]
        assert positions == sorted(set(positions))
        assert list(later) == list(found[4:6])

    async def test_nothing_to_append_changes_nothing(self) -> None:
        async with self.make() as streams:
            assert await streams.append("s", []) == 0
            await streams.append("s", [make_event(1)])
            assert await streams.append("s", []) == 1
            assert len(await streams.read_all()) == 1

    @pytest.mark.parametrize("expected", [0, 1, 3])
    async def test_another_version_than_expected_refuses_the_whole_append(
        self, expected: int
    ) -> None:
        async with self.make() as streams:
            await streams.append("s", make_events(2), expected=0)
            with pytest.raises(WrongVersion) as caught:
                await streams.append("s", make_events(2, first=5), expected=expected)
            assert len(await streams.read("s")) == 2
            assert await streams.append("s", make_events(2, first=5), expected=2) == 4
        assert (caught.value.name, caught.value.expected) == ("s", expected)
        assert caught.value.found == 2

    async def test_of_two_writers_with_the_same_expectation_exactly_one_loses(self) -> None:
        async with self.make() as streams:
            for version in range(20):
                results: list[int | None] = []
                async with asyncio.TaskGroup() as tasks:
                    for n in (0, 1):
                        event = make_event(version * 2 + n)
                        tasks.create_task(
                            _append(streams, event.id, version, results), name=f"w{n}"
                        )
                assert sorted(results, key=str) == [version + 1, None]
            assert len(await streams.read("s")) == 20

    async def test_racing_writers_never_make_positions_visible_out_of_order(self) -> None:
        seen: list[Recorded] = []
        async with self.make() as streams:
            async with background(_follow(streams, seen)), asyncio.TaskGroup() as tasks:
                for writer in range(6):
                    tasks.create_task(_write(streams, writer), name=f"writer {writer}")
            seen += await streams.read_all(after=seen[-1].position if seen else 0)
            everything = await streams.read_all()
        # A follower that only looks above the last position it saw must not have missed any.
        assert [r.position for r in seen] == [r.position for r in everything]
        assert len(everything) == 6 * 30

    async def test_a_batch_lies_together(self) -> None:
        async with self.make() as streams:
            async with asyncio.TaskGroup() as tasks:
                for writer in range(6):
                    tasks.create_task(_write(streams, writer), name=f"writer {writer}")
            everything = await streams.read_all()
        for first in range(0, len(everything), 3):
            batch = everything[first : first + 3]
            assert len({r.stream for r in batch}) == 1

    async def test_a_cancelled_append_is_whole_or_not_at_all(self) -> None:
        async with self.make() as streams:
            for round_ in range(20):
                async with background(
                    streams.append(f"s{round_}", make_events(5, first=9 * round_))
                ):
                    for _ in range(round_ % 5):
                        await CLOCK.sleep(0)
                # This one queues behind whatever the cancelled one left under way.
                await streams.append("other", [make_event(round_)])
                assert len(await streams.read(f"s{round_}")) in (0, 5)


async def _append(
    streams: EventStore, event_id: str, expected: int, results: list[int | None]
) -> None:
    try:
        version = await streams.append("s", [make_event(id=event_id)], expected=expected)
    except WrongVersion:
        results.append(None)
    else:
        results.append(version)


async def _write(streams: EventStore, writer: int) -> None:
    for n in range(10):
        events = make_events(3, first=1000 * writer + 3 * n)
        await streams.append(f"s{writer}", events)


async def _follow(streams: EventStore, seen: list[Recorded]) -> None:
    while True:
        seen += await streams.read_all(after=seen[-1].position if seen else 0, limit=7)
        await CLOCK.sleep(0)
