"""The contract of dead letters: kept with their bytes, closed once, given back to who failed."""

# ruff: noqa: D102 - the name of a test is its documentation

import pytest

from motet.core.errors import Fenced
from motet.core.event import Partition, Record
from motet.core.outcome import DeadLetter, ErrorInfo
from motet.core.ports import Progress, Status, Store
from motet.testing.contracts.steps import (
    GROUP,
    PARTITION,
    StoreSuite,
    letter,
    offsets,
    park,
    step,
    waiting,
)
from motet.testing.events import make_event

EDGE = DeadLetter(
    topic="t",
    partition=-1,
    offset=-1,
    group="",
    key="",
    event_type="",
    value=b"\xff\x00 not an event",
    error=ErrorInfo("CodecError", "byte 0: not JSON"),
)


class DeadLettersContract(StoreSuite):
    """A part of `StoreContract`."""

    async def test_a_letter_is_kept_whole(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, dead=(letter(7),)))
            await store.dead_letters.add([EDGE])
            kept = await store.dead_letters.list()
        assert [row.letter for row in kept] == [letter(7), EDGE]
        assert {row.status for row in kept} == {Status.NEW}
        assert len({row.dlq_id for row in kept}) == 2
        assert all(row.created_us > 0 for row in kept)

    async def test_letters_are_listed_oldest_first_and_page_by_page(self) -> None:
        async with self.make() as store:
            await store.dead_letters.add([letter(n) for n in range(5)])
            first = await store.dead_letters.list(limit=2)
            rest = await store.dead_letters.list(after=first[-1].id)
        assert [row.letter.offset for row in (*first, *rest)] == [0, 1, 2, 3, 4]
        ids = [row.id for row in (*first, *rest)]
        assert ids == sorted(set(ids))

    async def test_letters_are_found_by_status_topic_group_and_code(self) -> None:
        async with self.make() as store:
            await store.dead_letters.add([letter(1), EDGE, letter(2, topic="u")])
            letters = store.dead_letters
            ids = [row.id for row in await letters.list()]
            await letters.archive(ids[2:], by="me", notes="", now_us=1)
            assert [r.id for r in await letters.list(status=Status.NEW)] == ids[:2]
            assert [r.id for r in await letters.list(topic="u")] == ids[2:]
            assert [r.id for r in await letters.list(group=GROUP, topic="t")] == ids[:1]
            assert [r.id for r in await letters.list(group="")] == ids[1:2]
            assert [r.id for r in await letters.list(code="CodecError")] == ids[1:2]
            assert [r.id for r in await letters.get([ids[2], ids[0], 999_999])] == [ids[0], ids[2]]

    async def test_letters_are_counted_by_status_and_code(self) -> None:
        async with self.make() as store:
            assert dict(await store.dead_letters.counts()) == {}
            await store.dead_letters.add([letter(1), letter(2), EDGE])
            (row, *_) = await store.dead_letters.list()
            await store.dead_letters.archive([row.id], by="me", notes="", now_us=1)
            assert dict(await store.dead_letters.counts()) == {
                ("NEW", "Boom"): 1,
                ("NEW", "CodecError"): 1,
                ("ARCHIVED", "Boom"): 1,
            }

    async def test_an_archived_letter_says_by_whom_and_why(self) -> None:
        async with self.make() as store:
            await store.dead_letters.add([letter(1)])
            (row,) = await store.dead_letters.list()
            letters = store.dead_letters
            assert (
                await letters.archive([row.id, 999_999], by="ann", notes="a test", now_us=77) == 1
            )
            assert await letters.archive([row.id], by="bob", notes="again", now_us=99) == 0
            (closed,) = await letters.get([row.id])
        assert closed.status is Status.ARCHIVED
        assert (closed.reviewed_by, closed.reviewed_us) == ("ann", 77)
        assert closed.resolution_notes == "a test"
        assert closed.letter == row.letter

    async def test_a_redriven_letter_is_parked_for_the_group_that_failed(self) -> None:
        async with self.make() as store:
            row_id = await _fail(store, letter(7, attempts=5))
            assert await store.dead_letters.redrive([row_id], by="ann", now_us=500) == 1
            assert await waiting(store, now_us=499) == []
            (record,) = await waiting(store, now_us=500)
            (row,) = await store.dead_letters.get([row_id])
        assert record.parked > 0
        assert (record.event, record.offset) == (make_event(7), 7)
        assert record.attempt == 1
        assert (row.status, row.reviewed_by, row.reviewed_us) == (Status.RETRIED, "ann", 500)

    async def test_a_redrive_queues_behind_what_its_key_has_parked(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, dead=(letter(0),), parks=(park(1, due_us=900), park(2))))
            (row,) = await store.dead_letters.list()
            await store.dead_letters.redrive([row.id], by="ann", now_us=500)
            assert await offsets(store, now_us=500) == []
            assert await offsets(store, now_us=900) == [1, 2, 0]

    async def test_a_redrive_fences_off_who_has_not_seen_it(self) -> None:
        async with self.make() as store:
            row_id = await _fail(store, letter(0))
            await store.dead_letters.redrive([row_id], by="ann", now_us=500)
            with pytest.raises(Fenced):
                await store.commit(step(1, next=9))
            assert await store.progress(GROUP, PARTITION) == Progress(
                next=1, version=2, parked_keys=frozenset({"k"}), due_us=500
            )

    async def test_other_groups_do_not_notice_a_redrive(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, group="h"))
            row_id = await _fail(store, letter(0))
            await store.dead_letters.redrive([row_id], by="ann", now_us=0)
            assert await store.progress("h", PARTITION) == Progress(next=1, version=1)
            await store.commit(step(1, group="h"))

    async def test_only_open_letters_are_redriven_and_only_once(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, dead=(letter(0), letter(1, "l"))))
            first, second = await store.dead_letters.list()
            await store.dead_letters.archive([second.id], by="ann", notes="", now_us=1)
            ids = [first.id, second.id, 999_999]
            assert await store.dead_letters.redrive(ids, by="bob", now_us=2) == 1
            assert await store.dead_letters.redrive(ids, by="bob", now_us=3) == 0
            assert await offsets(store) == [0]

    async def test_letters_of_the_edge_and_broken_bytes_are_left_alone(self) -> None:
        broken = letter(3, key="", value=b"{not json")
        async with self.make() as store:
            await store.commit(step(0, dead=(broken,)))
            await store.dead_letters.add([EDGE])
            ids = [row.id for row in await store.dead_letters.list()]
            assert await store.dead_letters.redrive(ids, by="ann", now_us=2) == 0
            assert {row.status for row in await store.dead_letters.list()} == {Status.NEW}
            assert await store.progress(GROUP, PARTITION) == Progress(next=1, version=1)

    async def test_redrives_go_to_where_each_came_from_in_order(self) -> None:
        other = Partition("u", 2)
        elsewhere = letter(5, topic="u", partition=2, group="h")
        async with self.make() as store:
            await store.commit(step(0, dead=(letter(0), letter(1))))
            await store.commit(step(0, group="h", partition=other, dead=(elsewhere,)))
            ids = [row.id for row in await store.dead_letters.list()]
            assert await store.dead_letters.redrive(ids, by="ann", now_us=2) == 3
            assert await offsets(store) == [0, 1]
            (theirs,) = await store.parked("h", other, now_us=2, limit=9)
        assert theirs == Record(make_event(5), 5, attempt=1, parked=theirs.parked)


async def _fail(store: Store, dead: DeadLetter) -> int:
    """Commit a dead letter as the group's first step; return its row id."""
    await store.commit(step(0, dead=(dead,)))
    (row,) = await store.dead_letters.list()
    return row.id
