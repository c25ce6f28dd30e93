"""What must hold when a simulated world has come to rest, worked out from the log alone."""

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from motet.core.event import Batch, Event
from motet.core.ports import Status, StoredDeadLetter
from motet.stores.memory import MemoryStore
from tests.sim.pipeline import READS, Handled, has_timer
from tests.sim.scenario import Scenario

STATEFUL = ("fold", "lanes", "skips", "batched", "cross")
"""Groups that keep in their state what they handled."""


class Ending(msgspec.Struct, frozen=True):
    """What is left at the end of a run."""

    scenario: Scenario
    events: list[Event]  # what was published to "in"
    log: dict[str, list[Batch]]  # all records by topic and partition
    store: MemoryStore
    letters: Sequence[StoredDeadLetter]
    violations: list[str]
    tries: int
    seen: Counter[str]  # faults that came to pass


class Facts:
    """The ending, arranged for questions."""

    def __init__(self, ending: Ending, handled: dict[tuple[str, str], list[str]]) -> None:
        self.ending = ending
        self.handled = handled  # ids by (group, key), in order
        self.by_topic = {topic: _first_copies(batches) for topic, batches in ending.log.items()}
        letters = [row for row in ending.letters if row.letter.event_type]
        self.dead = Counter(
            (row.letter.group, event_id(row.letter.value))
            for row in letters
            if row.status is not Status.RETRIED
        )
        self.ever_dead = {(row.letter.group, event_id(row.letter.value)) for row in letters}

    def all_keys(self) -> list[str]:
        """All keys of the input."""
        return sorted({event.key for event in self.by_topic["in"]})

    def of_key(self, topic: str, key: str) -> list[Event]:
        """Events of a key in a topic, in order: a key has one partition."""
        return [event for event in self.by_topic[topic] if event.key == key]

    def ids_handled(self, group: str) -> list[str]:
        """Ids handled by a group, whatever their key."""
        return [id for (g, _), ids in self.handled.items() if g == group for id in ids]


def _first_copies(batches: Sequence[Batch]) -> list[Event]:
    """What a topic says: a second copy of an event says nothing new."""
    events: dict[str, Event] = {}
    for batch in batches:
        for record in batch.records:
            events.setdefault(record.event.id, record.event)
    return list(events.values())


def event_id(value: bytes) -> str:
    """The id of the event in a dead letter."""
    return msgspec.json.decode(value, type=Event).id


async def check(ending: Ending) -> None:
    """Check every invariant.

    Raises:
        AssertionError: one does not hold; it says which and where.
    """
    facts = await _facts(ending)
    for invariant in INVARIANTS:
        invariant(facts)
    await _streams_agree(facts)
    assert await ending.store.outbox.next_due_us() is None, "the outbox is not empty"


async def _facts(ending: Ending) -> Facts:
    keys = [f"k{n}" for n in range(ending.scenario.keys)]
    handled: dict[tuple[str, str], list[str]] = {}
    for group in STATEFUL:
        for key, value in (await ending.store.state(group).get_many(keys)).items():
            handled[group, key] = msgspec.json.decode(value.value, type=Handled).ids
    return Facts(ending, handled)


def nothing_was_early(facts: Facts) -> None:
    """No retry and no timer before its time; no retry that nobody planned."""
    assert not facts.ending.violations, facts.ending.violations[:5]


def every_input_is_in_the_log_once(facts: Facts) -> None:
    """Published with duplicates and retries; in the log once, and in order per key.

    A broker's log may have it again later.
    """
    for key in facts.all_keys():
        published = [event.id for event in facts.ending.events if event.key == key]
        assert [event.id for event in facts.of_key("in", key)] == published, f"in, key {key}"
    assert len(facts.by_topic["in"]) == facts.ending.scenario.events


def no_id_is_in_a_topic_twice(facts: Facts) -> None:
    """A repeat is the same event; only a broker keeps it."""
    if facts.ending.scenario.broker:
        return
    for topic, batches in facts.ending.log.items():
        ids = Counter(record.event.id for batch in batches for record in batch.records)
        twice = [id for id, n in ids.items() if n > 1]
        assert not twice, f"{topic} has {twice} more than once"


def every_event_is_handled_once_or_dead(facts: Facts) -> None:
    """By each group that reads its topic: in the state exactly once, or one open dead letter."""
    for group in STATEFUL:
        topics = READS[group]
        handled = Counter(facts.ids_handled(group))
        for topic in topics:
            for event in facts.by_topic[topic]:
                times = (handled[event.id], facts.dead[group, event.id])
                assert times in ((1, 0), (0, 1)), (
                    f"{group}: {topic} {event.id} of {event.key} was handled {times[0]} times "
                    f"and is a dead letter {times[1]} times"
                )
        known = {event.id for topic in topics for event in facts.by_topic[topic]}
        assert set(handled) <= known, f"{group} handled what is not in the log"


def keys_are_in_order(facts: Facts) -> None:
    """As in the log, but for what was given back after it was dead."""
    for group in ("fold", "lanes", "batched", "cross"):
        topic = READS[group][0]
        for key in facts.all_keys():
            log = [event.id for event in facts.of_key(topic, key)]
            plain = {id for id in log if (group, id) not in facts.ever_dead}
            done = [id for id in facts.handled.get((group, key), []) if id in plain]
            assert done == [id for id in log if id in plain], f"{group}: the order of {key}"


def effects_follow_from_what_was_handled(facts: Facts) -> None:
    """One event in the next topic for each one handled, in the order of handling."""
    for group, topic in (("fold", "mid"), ("lanes", "out")):
        for key in facts.all_keys():
            causes = [event.causation_id for event in facts.of_key(topic, key)]
            handled = facts.handled.get((group, key), [])
            assert causes == handled, f"{group} handled {handled} of {key}, {topic} has {causes}"


def what_is_routed_arrives(facts: Facts) -> None:
    """The same events, in the same order."""
    for key in facts.all_keys():
        routed = [event.id for event in facts.of_key("copy", key)]
        assert routed == [event.id for event in facts.of_key("out", key)], f"copies of {key}"


def timers_went_off(facts: Facts) -> None:
    """One event in "late" for each event handled in "lanes" that sets a timer."""
    handled = set(facts.ids_handled("lanes"))
    setting = sorted(e.id for e in facts.by_topic["mid"] if has_timer(e) and e.id in handled)
    assert sorted(e.causation_id for e in facts.by_topic["late"]) == setting, "timers"


def broken_bytes_are_dead_letters(facts: Facts) -> None:
    """Once, for the one group that reads them, with their bytes."""
    broken = [b.value for batch in facts.ending.log["in"] for b in batch.broken]
    dead = [row.letter.value for row in facts.ending.letters if not row.letter.event_type]
    assert sorted(dead) == sorted(broken), "broken bytes and their dead letters"


INVARIANTS: tuple[Callable[[Facts], None], ...] = (
    nothing_was_early,
    every_input_is_in_the_log_once,
    no_id_is_in_a_topic_twice,
    every_event_is_handled_once_or_dead,
    keys_are_in_order,
    effects_follow_from_what_was_handled,
    what_is_routed_arrives,
    timers_went_off,
    broken_bytes_are_dead_letters,
)


async def _streams_agree(facts: Facts) -> None:
    for key in facts.all_keys():
        recorded = await facts.ending.store.streams.read(f"lanes/{key}", limit=10_000)
        handled = facts.handled.get(("lanes", key), [])
        assert [r.event.id for r in recorded] == handled, f"the stream of {key}"
