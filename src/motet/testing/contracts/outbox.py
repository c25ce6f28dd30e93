"""The contract of an outbox: in the order written, none before its time, gone once done."""

# ruff: noqa: D102 - the name of a test is its documentation

import asyncio

from motet.core.outcome import Emit
from motet.core.ports import Store
from motet.testing.contracts.consuming import CLOCK, PATIENCE_S, background
from motet.testing.contracts.steps import StoreSuite, emits, queued, step
from motet.testing.events import make_event


class OutboxContract(StoreSuite):
    """A part of `StoreContract`."""

    async def test_an_empty_outbox_has_nothing_due(self) -> None:
        async with self.make() as store:
            assert await queued(store) == []
            assert await store.outbox.next_due_us() is None

    async def test_emits_are_queued_in_the_order_they_were_committed(self) -> None:
        async with self.make() as store:
            first = emits(("a", 1, 0), ("b", 2, 0)) + emits(("a", 3, 0))
            await store.commit(step(0, outcomes=first))
            await store.commit(step(1, outcomes=emits(("a", 0, 0))))
            rows = await store.outbox.due(now_us=0, limit=10)
        assert [row.emit for row in rows] == [
            Emit("a", make_event(1)),
            Emit("b", make_event(2)),
            Emit("a", make_event(3)),
            Emit("a", make_event(0)),
        ]

    async def test_a_timer_is_never_due_early(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, outcomes=emits(("a", 1, 500), ("a", 2, 400))))
            assert await store.outbox.next_due_us() == 400
            assert await queued(store, now_us=399) == []
            assert await queued(store, now_us=400) == [make_event(2).id]
            assert await queued(store, now_us=500) == [make_event(1).id, make_event(2).id]

    async def test_what_is_done_is_gone_and_may_be_marked_again(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, outcomes=emits(("a", 1, 0), ("a", 2, 0), ("a", 3, 70))))
            rows = await store.outbox.due(now_us=0, limit=10)
            await store.outbox.done([rows[0].id])
            await store.outbox.done([rows[0].id, 999_999])
            assert await queued(store, now_us=0) == [make_event(2).id]
            await store.outbox.done([rows[1].id])
            await store.outbox.done([])
            assert await store.outbox.next_due_us() == 70
            assert await queued(store) == [make_event(3).id]

    async def test_due_gives_no_more_than_asked_for(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, outcomes=emits(*(("a", n, 0) for n in range(10)))))
            assert await queued(store, limit=3) == [make_event(n).id for n in range(3)]

    async def test_one_relay_leads_until_its_time_is_over(self) -> None:
        async with self.make() as store:
            lead = store.outbox.lead
            assert await lead("a", now_us=0, until_us=100)
            assert not await lead("b", now_us=99, until_us=200)
            assert await lead("a", now_us=99, until_us=150)
            assert not await lead("b", now_us=100, until_us=200)
            assert await lead("b", now_us=150, until_us=250)
            assert not await lead("a", now_us=200, until_us=300)

    async def test_a_relay_that_resigns_makes_room_at_once(self) -> None:
        async with self.make() as store:
            assert await store.outbox.lead("a", now_us=10, until_us=100)
            assert await store.outbox.lead("a", now_us=20, until_us=20)
            assert await store.outbox.lead("b", now_us=20, until_us=120)

    async def test_a_commit_wakes_who_waits_for_one(self) -> None:
        async with (
            self.make() as store,
            asyncio.timeout(PATIENCE_S),
            background(_keep_committing(store)),
        ):
            await store.outbox.changed(10 * PATIENCE_S)

    async def test_who_waits_for_a_commit_is_let_go_after_its_time(self) -> None:
        async with self.make() as store, asyncio.timeout(PATIENCE_S):
            await store.outbox.changed(0.01)


async def _keep_committing(store: Store) -> None:
    for version in range(100_000):
        await store.commit(step(version))
        await CLOCK.sleep(0.001)
