"""The contract of a store: progress, state and all effects of a commit, together or not at all."""

# ruff: noqa: D102 - the name of a test is its documentation

import asyncio
from collections.abc import Coroutine

import pytest

from motet.core.errors import ConcurrencyError, Fenced, WrongVersion
from motet.core.event import Partition
from motet.core.outcome import Append, Outcome, Put
from motet.core.ports import GroupProgress, Progress
from motet.testing.contracts.consuming import CLOCK, background
from motet.testing.contracts.dead_letters import DeadLettersContract
from motet.testing.contracts.inbox import InboxContract
from motet.testing.contracts.outbox import OutboxContract
from motet.testing.contracts.parking import ParkingContract
from motet.testing.contracts.steps import (
    GROUP,
    PARTITION,
    StoreSuite,
    emits,
    letter,
    park,
    puts,
    queued,
    step,
    values,
    waiting,
)
from motet.testing.events import make_event


class CommitContract(StoreSuite):
    """A part of `StoreContract`."""

    async def test_a_group_that_was_never_there_has_no_progress(self) -> None:
        async with self.make() as store:
            assert await store.progress(GROUP, PARTITION) == Progress()
            assert list(await store.groups()) == []

    async def test_a_commit_moves_progress_and_raises_its_version(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, next=5))
            assert await store.progress(GROUP, PARTITION) == Progress(next=5, version=1)
            await store.commit(step(1, next=9))
            assert await store.progress(GROUP, PARTITION) == Progress(next=9, version=2)

    async def test_offsets_done_ahead_are_remembered_and_forgotten(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, next=2, ahead=(4, 7)))
            first = await store.progress(GROUP, PARTITION)
            await store.commit(step(1, next=5, ahead=(7,)))
            second = await store.progress(GROUP, PARTITION)
            await store.commit(step(2, next=8))
            third = await store.progress(GROUP, PARTITION)
        assert (first.next, first.ahead) == (2, (4, 7))
        assert (second.next, second.ahead) == (5, (7,))
        assert (third.next, third.ahead) == (8, ())

    async def test_a_repeated_commit_is_fenced_and_changes_nothing(self) -> None:
        commit = step(0, next=3, outcomes=puts(("a", b"1", 0)) + emits(("out", 1, 0)))
        async with self.make() as store:
            await store.commit(commit)
            with pytest.raises(Fenced):
                await store.commit(commit)
            assert await values(store, "a") == {"a": (b"1", 1)}
            assert await queued(store) == [make_event(1).id]
            assert await store.progress(GROUP, PARTITION) == Progress(next=3, version=1)

    async def test_a_commit_from_an_older_or_newer_version_is_fenced(self) -> None:
        async with self.make() as store:
            await store.commit(step(0))
            for version in (0, 2):
                with pytest.raises(Fenced):
                    await store.commit(step(version, next=8))

    async def test_groups_and_partitions_are_fenced_apart(self) -> None:
        other = Partition("t", 1)
        async with self.make() as store:
            await store.commit(step(0, next=1))
            await store.commit(step(0, next=2, partition=other))
            await store.commit(step(0, next=3, group="h"))
            await store.commit(step(1, next=4))
            found = list(await store.groups())
        assert found == [
            GroupProgress(GROUP, PARTITION, next=4, ahead=0, parked=0),
            GroupProgress(GROUP, other, next=2, ahead=0, parked=0),
            GroupProgress("h", PARTITION, next=3, ahead=0, parked=0),
        ]

    async def test_groups_say_what_is_ahead_and_parked(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, next=2, ahead=(3, 4), parks=(park(0), park(1, "l"))))
            (found,) = await store.groups()
        assert found == GroupProgress(GROUP, PARTITION, next=2, ahead=2, parked=2)

    @pytest.mark.parametrize("spoiler", ["state", "stream"])
    async def test_a_wrong_version_rolls_back_everything(self, spoiler: str) -> None:
        bad = {
            "state": Outcome(puts=(Put("a", b"2", 5),)),
            "stream": Outcome(appends=(Append("s", (make_event(9),), expected=5),)),
        }[spoiler]
        async with self.make() as store:
            await store.commit(step(0, parks=(park(0),), outcomes=puts(("a", b"1", 0))))
            (row,) = await waiting(store)
            good = Outcome(appends=(Append("s", (make_event(1),)),))
            with pytest.raises(WrongVersion):
                await store.commit(
                    step(
                        1,
                        next=7,
                        outcomes=(*puts(("b", b"1", 0)), *emits(("out", 1, 0)), good, bad),
                        parks=(park(3, "other"),),
                        settled=(row.parked,),
                        dead=(letter(),),
                    )
                )
            progress = await store.progress(GROUP, PARTITION)
            assert (progress.next, progress.version) == (1, 1)
            assert await values(store, "a", "b") == {"a": (b"1", 1)}
            assert await queued(store) == []
            assert list(await store.streams.read_all()) == []
            assert [r.offset for r in await waiting(store)] == [0]
            assert list(await store.dead_letters.list()) == []

    async def test_a_commit_after_one_that_failed_is_unaffected(self) -> None:
        async with self.make() as store:
            async with asyncio.TaskGroup() as tasks:
                for n in range(20):
                    wrong = n % 3 == 0
                    commit = step(
                        0,
                        next=n,
                        partition=Partition("t", n),
                        outcomes=puts((f"k{n}", b"v", 7 if wrong else 0)),
                    )
                    tasks.create_task(_commit(store.commit(commit), wrong=wrong), name=f"c{n}")
            found = await values(store, *(f"k{n}" for n in range(20)))
        assert set(found) == {f"k{n}" for n in range(20) if n % 3}

    async def test_of_two_racing_commits_exactly_one_wins(self) -> None:
        async with self.make() as store:
            for version in range(10):
                won = await _race(
                    *(
                        store.commit(step(version, outcomes=emits(("o", version * 2 + i, 0))))
                        for i in (0, 1)
                    )
                )
                assert won == 1
            assert len(await queued(store)) == 10

    async def test_a_cancelled_commit_is_applied_whole_or_not_at_all(self) -> None:
        async with self.make() as store:
            for round_ in range(30):
                before = (await store.progress(GROUP, PARTITION)).version
                commit = step(before, outcomes=puts((f"k{round_}", b"v", 0)))
                async with background(store.commit(commit)):
                    for _ in range(round_ % 6):
                        await CLOCK.sleep(0)
                # A commit elsewhere queues behind whatever the cancelled one left under way.
                await store.commit(step(round_, group="other"))
                after = (await store.progress(GROUP, PARTITION)).version
                applied = bool(await values(store, f"k{round_}"))
                assert after == before + applied


class StateContract(StoreSuite):
    """A part of `StoreContract`."""

    async def test_missing_keys_are_missing_from_the_answer(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, outcomes=puts(("a", b"1", 0), ("b", b"", 0))))
            assert await values(store, "a", "b", "c") == {"a": (b"1", 1), "b": (b"", 1)}
            assert await values(store) == {}

    async def test_many_keys_are_read_at_once(self) -> None:
        keys = [f"ключ-{n}" for n in range(3000)]
        async with self.make() as store:
            await store.commit(step(0, outcomes=puts(*((key, b"\x00\xff", 0) for key in keys))))
            assert len(await values(store, *keys)) == 3000

    async def test_each_write_raises_the_version(self) -> None:
        async with self.make() as store:
            for version in range(4):
                value = str(version).encode()
                await store.commit(step(version, outcomes=puts(("a", value, version))))
                assert await values(store, "a") == {"a": (value, version + 1)}

    @pytest.mark.parametrize(("expected", "found"), [(0, 1), (2, 1)])
    async def test_a_value_at_another_version_is_left_alone(
        self, expected: int, found: int
    ) -> None:
        async with self.make() as store:
            await store.commit(step(0, outcomes=puts(("a", b"1", 0))))
            with pytest.raises(WrongVersion) as caught:
                await store.commit(step(1, outcomes=puts(("a", b"2", expected))))
            assert await values(store, "a") == {"a": (b"1", 1)}
        assert (caught.value.name, caught.value.expected) == ("a", expected)
        assert caught.value.found == found

    async def test_a_deleted_key_is_missing_and_may_be_made_again(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, outcomes=puts(("a", b"1", 0))))
            await store.commit(step(1, outcomes=puts(("a", None, 1))))
            assert await values(store, "a") == {}
            await store.commit(step(2, outcomes=puts(("a", b"3", 0))))
            assert (await values(store, "a"))["a"][0] == b"3"

    async def test_a_key_made_again_is_not_mistaken_for_the_one_before(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, outcomes=puts(("a", b"1", 0))))
            seen = (await values(store, "a"))["a"][1]
            await store.commit(step(1, outcomes=puts(("a", None, 1))))
            await store.commit(step(2, outcomes=puts(("a", b"3", 0))))
            other = step(0, partition=Partition("t", 1), outcomes=puts(("a", b"lost", seen)))
            with pytest.raises(WrongVersion):
                await store.commit(other)
            assert (await values(store, "a"))["a"][0] == b"3"

    async def test_outcomes_of_a_commit_see_the_puts_of_those_before(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, outcomes=puts(("a", b"0", 0))))
            await store.commit(step(1, outcomes=puts(("a", None, 1))))
            chain = (
                *puts(("a", b"1", 0)),
                *puts(("a", b"2", 1)),
                *puts(("a", None, 2)),
                *puts(("a", b"4", 0)),
            )
            await store.commit(step(2, outcomes=chain))
            assert (await values(store, "a"))["a"][0] == b"4"
            with pytest.raises(WrongVersion):
                await store.commit(step(3, outcomes=(*puts(("b", b"1", 0)), *puts(("b", b"2", 0)))))
            assert await values(store, "b") == {}

    async def test_groups_have_their_own_state(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, outcomes=puts(("a", b"1", 0))))
            await store.commit(step(0, group="h", outcomes=puts(("a", b"2", 0))))
            assert await values(store, "a") == {"a": (b"1", 1)}
            assert await values(store, "a", group="h") == {"a": (b"2", 1)}

    async def test_of_two_partitions_that_write_one_key_one_has_to_try_again(self) -> None:
        async with self.make() as store:
            won = await _race(
                *(
                    store.commit(
                        step(0, partition=Partition("t", n), outcomes=puts(("a", b"v", 0)))
                    )
                    for n in range(5)
                )
            )
            assert won == 1
            assert len(await store.groups()) == 1

    async def test_a_commit_appends_to_streams(self) -> None:
        first = Outcome(appends=(Append("s", (make_event(1), make_event(2)), expected=0),))
        second = Outcome(appends=(Append("s", (make_event(3),), expected=2),))
        async with self.make() as store:
            await store.commit(step(0, outcomes=(first, second)))
            found = await store.streams.read("s")
        assert [r.event.id for r in found] == [make_event(n).id for n in (1, 2, 3)]
        assert [r.version for r in found] == [1, 2, 3]


class StoreContract(
    CommitContract,
    StateContract,
    InboxContract,
    ParkingContract,
    OutboxContract,
    DeadLettersContract,
):
    """Everything a store owes. `make` gives one whose emits all go to the outbox."""


async def _commit(commit: Coroutine[object, object, None], *, wrong: bool) -> None:
    try:
        await commit
    except WrongVersion:
        assert wrong
    else:
        assert not wrong


async def _race(*commits: Coroutine[object, object, None]) -> int:
    """Run them side by side; return how many were applied."""
    won = 0

    async def attempt(commit: Coroutine[object, object, None]) -> None:
        nonlocal won
        try:
            await commit
        except ConcurrencyError:
            return
        won += 1

    async with asyncio.TaskGroup() as tasks:
        for n, commit in enumerate(commits):
            tasks.create_task(attempt(commit), name=f"racer {n}")
    return won
