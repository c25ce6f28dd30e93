"""How far each consumer group is behind: topics and progress compared, without I/O."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec

from motet.core.event import Partition
from motet.core.ports import GroupProgress, TopicInfo

Readers = Mapping[str, Collection[str]]
"""Consumer groups by the topic they read: what an application declares."""


class Lag(msgspec.Struct, frozen=True):
    """A group's distance from the end of one partition."""

    group: str
    topic: str
    partition: int
    next: int  # every offset below is done
    end: int  # next offset to be written
    lag: int  # events not done
    parked: int  # of those passed, how many wait for another try


def lags(
    topics: Sequence[TopicInfo], groups: Sequence[GroupProgress], readers: Readers
) -> tuple[Lag, ...]:
    """Return one lag per group, topic and partition, sorted by these.

    A group in `readers` that has not begun is behind by all that is kept. What retention
    removed before a group saw it does not count.
    """
    by_name = {topic.name: topic for topic in topics}
    seen = _not_begun(by_name, readers)
    seen |= {(place.group, place.partition): place for place in groups}
    found = [
        _lag(place, by_name[place.partition.topic])
        for place in seen.values()
        if place.partition.topic in by_name
    ]
    return tuple(sorted(found, key=lambda lag: (lag.group, lag.topic, lag.partition)))


def _not_begun(
    topics: Mapping[str, TopicInfo], readers: Readers
) -> dict[tuple[str, Partition], GroupProgress]:
    return {
        (group, place): GroupProgress(group=group, partition=place, next=0, ahead=0, parked=0)
        for name, names in readers.items()
        if name in topics
        for place in (Partition(name, index) for index in range(topics[name].partitions))
        for group in names
    }


def _lag(place: GroupProgress, topic: TopicInfo) -> Lag:
    index = place.partition.index
    end = topic.ends[index]
    behind = end - max(place.next, topic.starts[index]) - place.ahead
    return Lag(
        group=place.group,
        topic=topic.name,
        partition=index,
        next=place.next,
        end=end,
        lag=max(0, behind),
        parked=place.parked,
    )


def depths(topics: Sequence[TopicInfo], found: Sequence[Lag], readers: Readers) -> dict[str, int]:
    """Return, for every topic, the events its slowest group has not done; 0 when none reads it.

    Where `readers` names a topic's groups, others are passed over: a group that was renamed
    would otherwise hold the depth up for ever.
    """
    behind: Counter[tuple[str, str]] = Counter()
    for lag in found:
        if lag.group in readers.get(lag.topic, (lag.group,)):
            behind[lag.topic, lag.group] += lag.lag
    deepest = {topic.name: 0 for topic in topics}
    for (name, _), count in behind.items():
        deepest[name] = max(deepest[name], count)
    return deepest
