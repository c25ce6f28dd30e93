"""Delivery mode `transport` under faults, and planted bugs that have to be found."""

import logging
import os
from collections.abc import Callable, Iterator

import msgspec
import pytest

from motet.core.event import Message, Partition
from motet.core.outcome import Commit, Emit
from motet.core.ports import Advance, Progress
from motet.runtime.delivery import TransportDelivery
from motet.runtime.failure_topics import FailureTopics
from motet.testing import FaultyTransport
from tests.sim.delivery import run_seed

pytestmark = pytest.mark.sim


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()  # the faults are meant to happen
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", range(120))
def test_nothing_is_lost_and_the_next_reader_has_each_once(seed: int) -> None:
    run_seed(seed)


def test_some_seeds_nobody_has_seen_before_hold_too() -> None:
    first = int.from_bytes(os.urandom(4), "big")
    for seed in range(first, first + 5):
        run_seed(seed)


def progress_before_what_is_emitted(patch: pytest.MonkeyPatch) -> None:
    """The broker notes progress, then publishes."""
    right = FaultyTransport.advance

    async def advance(transport: FaultyTransport, step: Advance) -> None:
        await right(transport, msgspec.structs.replace(step, emits=()))
        for emit in step.emits:
            await transport.publish(emit.topic, [emit.event])

    patch.setattr(FaultyTransport, "advance", advance)


def only_the_brokers_progress_counts(patch: pytest.MonkeyPatch) -> None:
    """What the store committed beside failures is not looked at after a crash."""
    right = TransportDelivery.progress

    async def progress(delivery: TransportDelivery, group: str, partition: Partition) -> Progress:
        found = await right(delivery, group, partition)
        there = await delivery._keeper.advanced(group, partition)
        kept = delivery._kept[group, partition]
        kept.next, kept.ahead = there.next, there.ahead
        return msgspec.structs.replace(found, next=there.next, ahead=there.ahead)

    patch.setattr(TransportDelivery, "progress", progress)


def the_stores_copy_is_ahead(patch: pytest.MonkeyPatch) -> None:
    """The store is told one offset more than is done."""
    right = TransportDelivery.note

    async def note(delivery: TransportDelivery) -> None:
        for kept in delivery._kept.values():
            kept.next += not kept.noted
        await right(delivery)

    patch.setattr(TransportDelivery, "note", note)


def effects_beside_failures_are_lost(patch: pytest.MonkeyPatch) -> None:
    """A commit with failures publishes nothing."""

    async def publish(delivery: TransportDelivery, emits: tuple[Emit, ...]) -> None:
        """Forget them."""

    patch.setattr(TransportDelivery, "_publish", publish)


def effects_after_the_failures(patch: pytest.MonkeyPatch) -> None:
    """A commit with failures moves the store on before it publishes."""
    right = TransportDelivery.commit

    async def commit(delivery: TransportDelivery, given: Commit) -> None:
        if not (given.parks or given.retried or given.settled or given.dead):
            await right(delivery, given)
            return
        await right(delivery, msgspec.structs.replace(given, outcomes=()))
        await delivery._publish([emit for each in given.outcomes for emit in each.emits])

    patch.setattr(TransportDelivery, "commit", commit)


def retries_are_not_sent(patch: pytest.MonkeyPatch) -> None:
    """What is to be tried again is neither parked nor in a retry topic."""

    def sort(topics: FailureTopics, commit: Commit) -> dict[str, list[Message]]:
        return {}

    patch.setattr(FailureTopics, "_sorted", sort)


Bug = Callable[[pytest.MonkeyPatch], None]

CAUGHT_BY: dict[Bug, range] = {
    progress_before_what_is_emitted: range(60),
    only_the_brokers_progress_counts: range(60),
    the_stores_copy_is_ahead: range(60),
    effects_beside_failures_are_lost: range(60),
    effects_after_the_failures: range(120),
    retries_are_not_sent: range(60),
}


@pytest.mark.parametrize("bug", CAUGHT_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    for seed in CAUGHT_BY[bug]:
        try:
            run_seed(seed)
        except AssertionError:
            return
    pytest.fail(f"{bug.__name__} is not caught by {CAUGHT_BY[bug]}")
