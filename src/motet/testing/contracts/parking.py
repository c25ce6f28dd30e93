"""The contract of parked records: later tries, in order per key, none before its time."""

# ruff: noqa: D102 - the name of a test is its documentation

from motet.core.event import Partition, Record
from motet.core.ports import Progress
from motet.testing.contracts.steps import (
    FAR_US,
    GROUP,
    PARTITION,
    StoreSuite,
    offsets,
    park,
    step,
    waiting,
)
from motet.testing.events import make_event


class ParkingContract(StoreSuite):
    """A part of `StoreContract`."""

    async def test_a_parked_record_comes_back_with_its_attempt_and_its_row(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, parks=(park(4, due_us=10, attempt=3),)))
            (record,) = await waiting(store)
        assert record.parked > 0
        assert record == Record(make_event(4), 4, attempt=3, parked=record.parked, failed_us=1)

    async def test_progress_names_parked_keys_and_the_earliest_try(self) -> None:
        async with self.make() as store:
            parks = (park(0, "a", due_us=50), park(1, "b", due_us=30), park(2, "b", due_us=0))
            await store.commit(step(0, next=3, parks=parks))
            assert await store.progress(GROUP, PARTITION) == Progress(
                next=3, version=1, parked_keys=frozenset({"a", "b"}), due_us=30
            )

    async def test_nothing_comes_back_before_its_time(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, parks=(park(0, due_us=1000),)))
            assert await offsets(store, now_us=999) == []
            assert await offsets(store, now_us=1000) == [0]

    async def test_what_waits_behind_a_head_comes_with_it_in_order(self) -> None:
        async with self.make() as store:
            parks = (park(0, due_us=1000), park(1), park(2), park(3, "other", due_us=0))
            await store.commit(step(0, next=4, parks=parks))
            assert await offsets(store, now_us=999) == [3]
            assert await offsets(store, now_us=1000) == [0, 1, 2, 3]

    async def test_what_was_parked_later_queues_behind(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, next=1, parks=(park(0, due_us=10),)))
            await store.commit(step(1, next=2, parks=(park(1),)))
            await store.commit(step(2, next=3, parks=(park(2),)))
            assert await offsets(store) == [0, 1, 2]

    async def test_one_behind_is_not_taken_along_before_its_own_time(self) -> None:
        async with self.make() as store:
            parks = (park(0, due_us=10), park(1, due_us=20), park(2, due_us=5))
            await store.commit(step(0, next=3, parks=parks))
            assert await offsets(store, now_us=9) == []
            assert await offsets(store, now_us=10) == [0]
            assert await offsets(store, now_us=20) == [0, 1, 2]

    async def test_a_settled_row_is_gone_and_the_next_of_its_key_moves_up(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, next=2, parks=(park(0, due_us=10), park(1, due_us=70))))
            (head,) = await waiting(store, now_us=10)
            await store.commit(step(1, next=2, settled=(head.parked,)))
            progress = await store.progress(GROUP, PARTITION)
            assert (progress.parked_keys, progress.due_us) == (frozenset({"k"}), 70)
            assert await offsets(store) == [1]

    async def test_when_all_are_settled_nothing_is_parked(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, next=2, parks=(park(0), park(1))))
            rows = await waiting(store)
            await store.commit(step(1, next=2, settled=tuple(r.parked for r in rows)))
            assert await store.progress(GROUP, PARTITION) == Progress(next=2, version=2)
            (group,) = await store.groups()
        assert group.parked == 0

    async def test_a_row_tried_again_keeps_its_place_at_the_head(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, next=3, parks=(park(0), park(1), park(2, "other"))))
            head = (await waiting(store, now_us=0))[0]
            retried = park(0, due_us=500, row=head.parked, attempt=3)
            await store.commit(step(1, next=3, retried=(retried,)))
            assert await offsets(store, now_us=499) == [2]
            assert await offsets(store, now_us=500) == [0, 1, 2]
            records = await waiting(store, now_us=500)
            again = next(record for record in records if record.offset == 0)
        assert (again.parked, again.attempt) == (head.parked, 3)

    async def test_a_limit_takes_the_front_of_each_key(self) -> None:
        async with self.make() as store:
            parks = tuple(park(n, f"k{n % 3}") for n in range(12))
            await store.commit(step(0, next=12, parks=parks))
            for limit in range(1, 12):
                records = await waiting(store, limit=limit)
                assert len(records) == limit
                for key in range(3):
                    mine = [r.offset for r in records if r.event.key == f"k{key}"]
                    assert mine == list(range(key, 12, 3))[: len(mine)]

    async def test_groups_and_partitions_park_apart(self) -> None:
        other = Partition("t", 1)
        async with self.make() as store:
            await store.commit(step(0, parks=(park(0),)))
            await store.commit(step(0, group="h", parks=(park(5),)))
            await store.commit(step(0, partition=other, parks=(park(6),)))
            assert await offsets(store) == [0]
            (mine,) = await store.parked("h", PARTITION, now_us=FAR_US, limit=9)
            (theirs,) = await store.parked(GROUP, other, now_us=FAR_US, limit=9)
        assert (mine.offset, theirs.offset) == (5, 6)

    async def test_one_commit_settles_retries_and_parks(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, next=2, parks=(park(0, "a"), park(1, "b"))))
            a, b = sorted(await waiting(store), key=lambda record: record.offset)
            await store.commit(
                step(
                    1,
                    next=4,
                    settled=(a.parked,),
                    retried=(park(1, "b", due_us=90, row=b.parked, attempt=3),),
                    parks=(park(2, "b"), park(3, "a")),
                )
            )
            assert await offsets(store, now_us=89) == [3]
            assert await offsets(store, now_us=90) == [3, 1, 2]
