"""The contract of a store, continued: the ids a group has handled are kept with its commits."""

# ruff: noqa: D102 - the name of a test is its documentation

import pytest

from motet.core.errors import Fenced, WrongVersion
from motet.core.event import Partition
from motet.core.outcome import Outcome, Put
from motet.core.ports import Store
from motet.testing.contracts.steps import GROUP, PARTITION, StoreSuite, park, step, waiting

ASKED = ("a", "b", "ключ", "it's", 'a "quoted" id')


class InboxContract(StoreSuite):
    """A part of `StoreContract`."""

    async def test_nothing_was_handled_at_first(self) -> None:
        async with self.make() as store:
            assert await known(store) == set()
            assert await store.handled(GROUP, "t", ()) == set()

    async def test_ids_are_remembered_with_the_commit(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, handled=("a", "ключ")))
            assert await known(store) == {"a", "ключ"}
            await store.commit(step(1, handled=("it's", 'a "quoted" id')))
            assert await known(store) == {"a", "ключ", "it's", 'a "quoted" id'}

    async def test_ids_of_a_commit_that_is_refused_are_not_remembered(self) -> None:
        wrong = (Outcome(puts=(Put("a", b"1", 5),)),)
        async with self.make() as store:
            await store.commit(step(0, handled=("it's",)))
            with pytest.raises(Fenced):
                await store.commit(step(7, handled=("a", "b")))
            with pytest.raises(WrongVersion):
                await store.commit(step(1, handled=("a", "b"), outcomes=wrong))
            assert await known(store) == {"it's"}

    async def test_groups_and_topics_remember_apart_and_partitions_together(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, handled=("a",)))
            assert await known(store, group="h") == set()
            assert await known(store, topic="u") == set()
            await store.commit(step(0, group="h", handled=("b",)))
            await store.commit(step(0, partition=Partition("u", 0), handled=("it's",)))
            await store.commit(step(0, partition=Partition("t", 1), handled=("ключ",)))
            assert await known(store) == {"a", "ключ"}
            assert await known(store, group="h") == {"b"}
            assert await known(store, topic="u") == {"it's"}

    async def test_an_id_remembered_again_does_no_harm(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, handled=("a", "b")))
            await store.commit(step(1, next=5, handled=("b", "ключ")))
            assert await known(store) == {"a", "b", "ключ"}
            assert (await store.progress(GROUP, PARTITION)).next == 5

    async def test_many_ids_are_remembered_and_asked_about_at_once(self) -> None:
        ids = tuple(f"id-{n}" for n in range(3000))
        async with self.make() as store:
            await store.commit(step(0, handled=ids[::2]))
            assert await store.handled(GROUP, "t", ids) == set(ids[::2])

    async def test_an_id_stays_remembered_when_its_parked_record_is_settled(self) -> None:
        async with self.make() as store:
            await store.commit(step(0, parks=(park(0),), handled=("a",)))
            (row,) = await waiting(store)
            await store.commit(step(1, settled=(row.parked,)))
            assert await known(store) == {"a"}


async def known(store: Store, *, group: str = GROUP, topic: str = PARTITION.topic) -> set[str]:
    """Which of the ids the suite uses the group has handled."""
    return set(await store.handled(group, topic, ASKED))
