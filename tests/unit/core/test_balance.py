from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from motet.core.balance import Plan, plan
from motet.core.event import Partition

T = frozenset({"t"})
FOUR = [Partition("t", n) for n in range(4)]


def test_the_only_reader_takes_everything() -> None:
    assert plan(1, readers={1: T}, partitions=FOUR, leases={}) == Plan(take=tuple(FOUR))


def test_who_has_too_many_gives_back_and_nobody_takes_what_is_held() -> None:
    leases = dict.fromkeys(FOUR, 1)
    readers = {1: T, 2: T}
    assert plan(1, readers=readers, partitions=FOUR, leases=leases) == Plan(give=tuple(FOUR[2:]))
    assert plan(2, readers=readers, partitions=FOUR, leases=leases) == Plan()


def test_what_a_dead_member_held_is_free() -> None:
    leases = {FOUR[0]: 1, FOUR[1]: 1, FOUR[2]: 9, FOUR[3]: 9}
    assert plan(1, readers={1: T}, partitions=FOUR, leases=leases) == Plan(take=tuple(FOUR[2:]))


def test_topics_of_one_partition_are_dealt_round() -> None:
    partitions = [Partition(f"t{n}", 0) for n in range(6)]
    topics = frozenset(p.topic for p in partitions)
    plans = [
        plan(me, readers={1: topics, 2: topics}, partitions=partitions, leases={}) for me in (1, 2)
    ]
    assert [len(each.take) for each in plans] == [3, 3]


def test_a_member_gets_nothing_of_a_topic_it_does_not_read() -> None:
    readers = {1: T, 2: frozenset({"u"})}
    assert plan(2, readers=readers, partitions=FOUR, leases={}) == Plan()


topics = st.frozensets(st.sampled_from(["a", "b", "c"]), min_size=1)


@given(
    readers=st.dictionaries(st.integers(1, 9), topics, min_size=1, max_size=5),
    sizes=st.fixed_dictionaries({name: st.integers(1, 9) for name in "abc"}),
    held=st.dictionaries(st.integers(0, 26), st.integers(1, 12)),
    order=st.randoms(use_true_random=False),
)
def test_from_any_start_all_partitions_are_shared_evenly(
    readers: Mapping[int, frozenset[str]],
    sizes: Mapping[str, int],
    held: Mapping[int, int],
    order: object,
) -> None:
    partitions = [Partition(t, n) for t in sizes for n in range(sizes[t])]
    leases = {partitions[n]: who for n, who in held.items() if n < len(partitions)}
    for _ in range(3):  # gives, then takes, whoever looks first
        members = list(readers)
        order.shuffle(members)  # type: ignore[attr-defined]
        for me in members:
            todo = plan(me, readers=readers, partitions=partitions, leases=leases)
            for partition in todo.give:
                del leases[partition]
            for partition in todo.take:
                assert leases.get(partition) not in readers
                leases[partition] = me
    for topic, size in sizes.items():
        shares = [
            sum(leases.get(Partition(topic, n)) == me for n in range(size))
            for me in readers
            if topic in readers[me]
        ]
        if shares:
            assert sum(shares) == size
            assert max(shares) - min(shares) <= 1
