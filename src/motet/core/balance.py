"""Fair shares of partitions: a pure function that every member computes for itself."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from motet.core.event import Partition


class Plan(msgspec.Struct, frozen=True):
    """What one member is to do."""

    take: tuple[Partition, ...] = ()  # free, and due to it
    give: tuple[Partition, ...] = ()  # its own, and too many


def plan(
    me: int,
    *,
    readers: Mapping[int, frozenset[str]],
    partitions: Iterable[Partition],
    leases: Mapping[Partition, int],
) -> Plan:
    """Return what `me` is to take and to give back.

    `readers` are the living members with their topics. Each topic is shared evenly; who gets one
    more than others goes round from topic to topic. Nobody takes what another holds: a member
    that has too many gives back, and the next look of the others finds it free.
    """
    topics: dict[str, list[Partition]] = {}
    for partition in partitions:
        topics.setdefault(partition.topic, []).append(partition)
    take: list[Partition] = []
    give: list[Partition] = []
    for turn, topic in enumerate(sorted(topics)):
        mine = [p for p in topics[topic] if leases.get(p) == me]
        due = _share(me, topic, len(topics[topic]), turn, readers)
        give += mine[due:]
        free = [p for p in topics[topic] if leases.get(p) not in readers]
        take += free[: max(0, due - len(mine))]
    return Plan(tuple(take), tuple(give))


def _share(
    me: int, topic: str, count: int, turn: int, readers: Mapping[int, frozenset[str]]
) -> int:
    who: Sequence[int] = sorted(member for member, topics in readers.items() if topic in topics)
    if me not in who:
        return 0
    least, more = divmod(count, len(who))
    rank = (who.index(me) + turn) % len(who)
    return least + (rank < more)
