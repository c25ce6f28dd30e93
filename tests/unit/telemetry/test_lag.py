from motet.core.event import Partition
from motet.core.ports import GroupProgress, TopicInfo
from motet.telemetry import depths, lags


def topic(name: str, *, starts: tuple[int, ...] = (0, 0), ends: tuple[int, ...]) -> TopicInfo:
    return TopicInfo(name, len(ends), None, sum(ends) - sum(starts), 0, ends, starts)


def place(
    group: str, name: str, index: int, *, done: int, ahead: int = 0, parked: int = 0
) -> GroupProgress:
    return GroupProgress(group, Partition(name, index), done, ahead, parked)


def test_lag_is_what_lies_between_progress_and_the_end() -> None:
    (lag,) = lags([topic("orders", ends=(10, 0))], [place("fraud", "orders", 0, done=4)], {})

    assert (lag.lag, lag.next, lag.end) == (6, 4, 10)


def test_what_is_done_out_of_order_is_not_waiting() -> None:
    (lag,) = lags(
        [topic("orders", ends=(10, 0))], [place("fraud", "orders", 0, done=4, ahead=5)], {}
    )

    assert lag.lag == 1


def test_what_retention_removed_unseen_is_not_waiting() -> None:
    orders = topic("orders", starts=(8, 0), ends=(10, 0))

    (lag,) = lags([orders], [place("fraud", "orders", 0, done=4)], {})

    assert lag.lag == 2


def test_a_group_that_has_not_begun_is_behind_by_all_that_is_kept() -> None:
    orders = topic("orders", starts=(3, 0), ends=(10, 5))

    found = lags([orders], [], {"orders": ["fraud"], "no such topic": ["fraud"]})

    assert [(lag.partition, lag.lag) for lag in found] == [(0, 7), (1, 5)]


def test_progress_in_a_topic_that_is_gone_is_passed_over() -> None:
    assert lags([], [place("fraud", "orders", 0, done=4)], {}) == ()


def test_depth_is_that_of_the_slowest_group() -> None:
    topics = [topic("orders", ends=(10, 10)), topic("unread", ends=(99,), starts=(0,))]
    places = [
        place("fast", "orders", 0, done=10),
        place("fast", "orders", 1, done=10),
        place("slow", "orders", 0, done=4),
        place("slow", "orders", 1, done=9),
    ]

    assert depths(topics, lags(topics, places, {}), {}) == {"orders": 7, "unread": 0}


def test_a_group_that_was_renamed_does_not_hold_up_the_depth() -> None:
    topics = [topic("orders", ends=(10, 0))]
    places = [place("old name", "orders", 0, done=1), place("new name", "orders", 0, done=9)]
    readers = {"orders": {"new name"}}

    assert depths(topics, lags(topics, places, readers), readers) == {"orders": 1}
