import logging
import os
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest

from motet.bridges import forwarding
from motet.bridges.forwarding import Forwarding
from motet.bridges.marks import EXTENSION, Via
from motet.bridges.picking import Counts
from motet.bridges.targets import Target
from motet.core.errors import CodecError
from motet.core.event import Event, Record
from motet.core.outcome import Commit
from tests.sim.bridges import Failed, run_seed

SEEDS = range(150)

pytestmark = pytest.mark.sim

Bug = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()  # the faults are meant to happen
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_event_is_everywhere_in_order_and_nothing_comes_back(seed: int) -> None:
    run_seed(seed)


def test_some_seeds_nobody_has_seen_before_hold_too() -> None:
    first = int.from_bytes(os.urandom(4), "big")
    for seed in range(first, first + 5):
        run_seed(seed)


def progress_before_publish(patch: pytest.MonkeyPatch) -> None:
    """Progress is noted, then the events are published."""
    commit = Forwarding.commit

    async def early(store: Forwarding, given: Commit) -> None:
        await store._store.commit(msgspec.structs.replace(given, outcomes=()))
        await commit(Forwarding(_Nothing(), store._target, store._counts), given)

    patch.setattr(Forwarding, "commit", early)


class _Nothing:
    async def commit(self, commit: Commit) -> None:
        """Nothing is left to be noted."""


def the_mark_is_not_written(patch: pytest.MonkeyPatch) -> None:
    """Copies do not say where they have been."""
    patch.setattr(Via, "mark", lambda via, event: event)


def the_mark_is_not_read(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks where an event has been."""
    patch.setattr(Via, "been_there", lambda via, event: False)


def only_the_last_place_is_marked(patch: pytest.MonkeyPatch) -> None:
    """A copy of a copy forgets where the first one came from."""

    def mark(via: Via, event: Event) -> Event:
        metadata = msgspec.Raw(msgspec.json.encode({EXTENSION: via._here}))
        return msgspec.structs.replace(event, metadata=metadata)

    patch.setattr(Via, "mark", mark)


def what_is_refused_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Events that the target refuses leave no dead letter."""

    async def forgetful(
        target: Target, topic: str, given: Sequence[tuple[Record, Event]], counts: Counts
    ) -> list[tuple[Record, CodecError]]:
        await _publish(target, topic, given, counts)
        return []

    patch.setattr(forwarding, "publish", forgetful)


def one_refusal_refuses_its_batch(patch: pytest.MonkeyPatch) -> None:
    """The other events of a batch with a refused one are dead letters too."""

    async def hasty(
        target: Target, topic: str, given: Sequence[tuple[Record, Event]], counts: Counts
    ) -> list[tuple[Record, CodecError]]:
        try:
            await target.publish(topic, [event for _, event in given])
        except CodecError as err:
            return [(record, err) for record, _ in given]
        return []

    patch.setattr(forwarding, "publish", hasty)


def halves_are_published_last_first(patch: pytest.MonkeyPatch) -> None:
    """Of a batch that is refused, the second half is published before the first."""

    async def backwards(
        target: Target, topic: str, given: Sequence[tuple[Record, Event]], counts: Counts
    ) -> list[tuple[Record, CodecError]]:
        half = len(given) // 2
        last = await _publish(target, topic, given[half:], counts)
        return await _publish(target, topic, given[:half], counts) + last

    patch.setattr(forwarding, "publish", backwards)


_publish = forwarding.publish

CAUGHT_BY: dict[Bug, tuple[int, ...]] = {
    progress_before_publish: (1, 5, 9, 11, 13),
    the_mark_is_not_written: (0, 1, 2, 3, 4),
    the_mark_is_not_read: (0, 1, 2, 3, 4),
    only_the_last_place_is_marked: (0, 1, 3, 4, 5),
    what_is_refused_is_forgotten: (0, 2, 3, 6, 8),
    one_refusal_refuses_its_batch: (0, 3, 6, 8, 10),
    halves_are_published_last_first: (0, 1, 3, 4, 5),
}


@pytest.mark.parametrize("bug", CAUGHT_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    for seed in CAUGHT_BY[bug]:
        try:
            run_seed(seed)
        except Failed as err:
            if not isinstance(err.reason, AssertionError):
                raise  # the bug is planted wrongly: it does not even run
            return
    pytest.fail(f"{bug.__name__} is not caught by {CAUGHT_BY[bug]}: find other seeds")
