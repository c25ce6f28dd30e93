"""Bugs planted on purpose, each at one small seam: what the simulation has to find.

The table `CAUGHT_BY` names seeds that find each of them. After a change of the runtime or of the
scenarios other seeds may be the ones: `python -m tests.sim --bugs` finds them anew.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec
import pytest

from motet.core.errors import TransientError, Unavailable
from motet.core.event import Batch, Broken, Event, Partition, Record
from motet.core.outcome import Commit, Failure, Park, Put
from motet.core.ports import Progress, Queued, Subscription, Versioned
from motet.drivers.memory import MemoryLog
from motet.handlers.results import Effects
from motet.handlers.state import Overlay
from motet.runtime.inbox import Inbox
from motet.runtime.ledger import Ledger
from motet.runtime.offsets import Offsets
from motet.runtime.pending import View
from motet.runtime.readings import Done
from motet.runtime.relay import Relay
from motet.runtime.session import Session
from motet.runtime.worker import Worker
from motet.stores.memory import MemoryStore
from motet.stores.memory.tables import (
    MemoryDeadLetters,
    MemoryOutbox,
    MemoryState,
    ParkedRows,
)
from motet.transports.memory import MemoryLease, MemoryTransport

replace = msgspec.structs.replace
Bug = Callable[[pytest.MonkeyPatch], None]

Sorted = tuple[Sequence[Record], Sequence[Record]]

_commit = MemoryStore.commit
_sort = Inbox.sort
_all_guarantees = MemoryTransport.guarantees


def _commits(patch: pytest.MonkeyPatch, change: Callable[[MemoryStore, Commit], Commit]) -> None:
    """Let the store see another commit than the one it is given."""

    async def commit(store: MemoryStore, given: Commit) -> None:
        await _commit(store, change(store, given))

    patch.setattr(MemoryStore, "commit", commit)


def _answers(
    patch: pytest.MonkeyPatch,
    answer: Callable[[MemoryStore, tuple[str, str], Collection[str]], set[str]],
) -> None:
    """Let the store say something else about what a group has handled in a topic."""

    async def handled(store: MemoryStore, group: str, topic: str, ids: Collection[str]) -> set[str]:
        return answer(store, (group, topic), ids)

    patch.setattr(MemoryStore, "handled", handled)


def commit_without_the_version_check(patch: pytest.MonkeyPatch) -> None:
    """A worker that lost its lease, or heard no answer, commits the same records again."""

    def change(store: MemoryStore, given: Commit) -> Commit:
        step = store._steps.get((given.group, given.partition))
        return replace(given, version=step.version if step else 0)

    _commits(patch, change)


def progress_before_effects(patch: pytest.MonkeyPatch) -> None:
    """Progress is committed first, effects after it: a crash in between loses them."""

    async def commit(store: MemoryStore, given: Commit) -> None:
        bare = Commit(given.group, given.partition, given.version, given.next, given.ahead)
        await _commit(store, bare)
        await store._log.clock.sleep(0.01)
        await _commit(store, replace(given, version=given.version + 1))
        place = (given.group, given.partition)
        store._steps[place] = replace(store._steps[place], version=given.version + 1)

    patch.setattr(MemoryStore, "commit", commit)


def effects_before_the_check(patch: pytest.MonkeyPatch) -> None:
    """What is emitted stays, even where the commit is refused."""

    async def commit(store: MemoryStore, given: Commit) -> None:
        for outcome in given.outcomes:
            store._send(outcome.emits)
        await _commit(store, given)

    patch.setattr(MemoryStore, "commit", commit)


def later_records_pass_a_parked_one(patch: pytest.MonkeyPatch) -> None:
    """Nothing queues behind a parked record of its key."""

    def split(ledger: Ledger, records: Sequence[Record]) -> tuple[Sequence[Record], list[Failure]]:
        return records, []

    patch.setattr(Ledger, "split", split)


def what_waits_behind_does_not_hold_its_key(patch: pytest.MonkeyPatch) -> None:
    """Before what queues behind a key is committed, the key may come free, and be passed."""

    def split(ledger: Ledger, records: Sequence[Record]) -> tuple[Sequence[Record], list[Failure]]:
        held = {key: set(offsets) for key, offsets in ledger._held.items()}
        answer = _split(ledger, records)
        ledger._held = held
        return answer

    patch.setattr(Ledger, "split", split)


_split = Ledger.split


def a_commit_under_way_is_in_neither_state(patch: pytest.MonkeyPatch) -> None:
    """A put committed while the store is asked is in the answer neither as pending nor as done."""

    async def get_many(view: View, keys: Collection[str]) -> Mapping[str, Versioned]:
        found = dict(await view._state.committed.get_many(keys))
        for key in keys:
            put = view._state.puts.get(key)
            if put is None:
                continue
            view.pending.add(key)
            found.pop(key, None)
            if put.value is not None:
                found[key] = Versioned(put.value, put.expected + 1)
        return found

    patch.setattr(View, "get_many", get_many)


def a_failed_key_is_not_held_until_its_commit(patch: pytest.MonkeyPatch) -> None:
    """Between a failure and the commit that parks it, later records of the key get through."""
    patch.setattr(Ledger, "hold", lambda ledger, key: None)


def settled_rows_stay(patch: pytest.MonkeyPatch) -> None:
    """A parked record that was handled is tried again."""
    _commits(patch, lambda store, given: replace(given, settled=()))


def a_retried_row_goes_to_the_back(patch: pytest.MonkeyPatch) -> None:
    """A failed retry queues behind what waited behind it."""

    def retry(rows: ParkedRows, place: tuple[str, Partition], park: Park) -> None:
        rows.remove(place, park.record.parked)
        rows.add(place, park)

    patch.setattr(ParkedRows, "replace", retry)


def retries_before_they_are_due(patch: pytest.MonkeyPatch) -> None:
    """The due time of parked records is not looked at."""
    due = ParkedRows.due
    patch.setattr(ParkedRows, "due", lambda rows, place, *, now_us: due(rows, place, now_us=2**60))
    patch.setattr(Ledger, "due_in_s", lambda ledger: 0.0 if ledger.progress.parked_keys else None)


def timers_before_they_are_due(patch: pytest.MonkeyPatch) -> None:
    """The relay gets what is not due yet."""

    async def due(outbox: MemoryOutbox, *, now_us: int, limit: int) -> Sequence[Queued]:
        return [Queued(i, emit) for i, emit in outbox._rows.items()][:limit]

    patch.setattr(MemoryOutbox, "due", due)


def no_deduplication(patch: pytest.MonkeyPatch) -> None:
    """The log takes an id again."""
    append = MemoryLog.append

    def forgetful(log: MemoryLog, topic: str, events: Sequence[Event]) -> int:
        log._topic(topic).ids.clear()
        return append(log, topic, events)

    patch.setattr(MemoryLog, "append", forgetful)


def ahead_is_forgotten_on_resume(patch: pytest.MonkeyPatch) -> None:
    """What was done ahead of a gap is done again after a reload."""

    async def resume(ledger: Ledger) -> int:
        next_offset = await _resume(ledger)
        ledger.offsets = Offsets(next_offset=next_offset, ahead=())
        return next_offset

    patch.setattr(Ledger, "resume", resume)


_resume = Ledger.resume


def a_full_window_ahead_stops_fetching(patch: pytest.MonkeyPatch) -> None:
    """After a reload, what is ahead fills the room, and the gap below it is never fetched."""

    async def room(session: Session) -> int:
        offsets = session._ledger.offsets
        while not session._source.stopping:
            room = session._settings.max_in_flight - offsets.in_flight - len(session._retrying)
            if room > 0 and not offsets.ahead:
                return room
            session._space.clear()
            await session._space.wait()
        return 1

    patch.setattr(Session, "_room", room)


def progress_jumps_to_the_furthest(patch: pytest.MonkeyPatch) -> None:
    """The offset committed is that of the last record done, not of the first one open."""

    def progress(offsets: Offsets, finishing: Collection[int] = ()) -> tuple[int, tuple[int, ...]]:
        return max(offsets._ahead.union(finishing), default=offsets._end - 1) + 1, ()

    patch.setattr(Offsets, "progress", progress)


def marked_published_before_it_is(patch: pytest.MonkeyPatch) -> None:
    """The outbox forgets an event before the log has it."""

    right = Relay._send

    async def send(
        relay: Relay, topic: str, queued: Sequence[Queued], sent: list[int]
    ) -> TransientError | None:
        await relay._outbox.done([each.id for each in queued])
        return await right(relay, topic, queued, sent)

    patch.setattr(Relay, "_send", send)


def emits_of_retries_are_lost(patch: pytest.MonkeyPatch) -> None:
    """A record handled at a later try emits nothing."""

    def change(store: MemoryStore, given: Commit) -> Commit:
        if not given.settled:
            return given
        return replace(given, outcomes=tuple(replace(o, emits=()) for o in given.outcomes))

    _commits(patch, change)


def effects_of_failures_are_kept(patch: pytest.MonkeyPatch) -> None:
    """What a handler emitted before it failed is published."""
    patch.setattr(Effects, "cut", lambda effects, *given: None)


def state_of_a_batch_is_not_seen(patch: pytest.MonkeyPatch) -> None:
    """A record does not see what earlier ones of its batch put."""

    def value(overlay: Overlay, key: str) -> bytes | None:
        found = overlay._committed.get(key)
        return found.value if found else None

    patch.setattr(Overlay, "value", value)


def pending_state_is_not_seen(patch: pytest.MonkeyPatch) -> None:
    """A record does not see what earlier ones of its lane put, if that is not committed yet."""

    async def get_many(view: View, keys: Collection[str]) -> Mapping[str, Versioned]:
        return await view._state.committed.get_many(keys)

    patch.setattr(View, "get_many", get_many)
    state_versions_are_not_compared(patch)


def state_versions_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    """Two partitions that share a state key overwrite one another."""

    def check(state: MemoryState, namespace: str, puts: Iterable[Put]) -> None:
        return None

    patch.setattr(MemoryState, "check", check)


def dead_letters_are_dropped(patch: pytest.MonkeyPatch) -> None:
    """What failed for good is nowhere."""
    _commits(patch, lambda store, given: replace(given, dead=()))


def dead_but_still_parked(patch: pytest.MonkeyPatch) -> None:
    """A parked record that failed for good becomes a dead letter and is tried again."""

    def change(store: MemoryStore, given: Commit) -> Commit:
        rows = store._parked._rows.get((given.group, given.partition), {})
        dead = {letter.offset for letter in given.dead}
        kept = tuple(i for i in given.settled if i in rows and rows[i].record.offset not in dead)
        return replace(given, settled=kept)

    _commits(patch, change)


def a_redrive_goes_unnoticed(patch: pytest.MonkeyPatch) -> None:
    """A redrive does not raise the version of progress: who holds the partition sleeps on."""

    def give_back(store: MemoryStore, group: str, partition: Partition, park: Park) -> None:
        store._parked.add((group, partition), park)

    init = MemoryStore.__init__

    def bind(store: MemoryStore, log: MemoryLog, *, shared: bool = True) -> None:
        init(store, log, shared=shared)
        store.dead_letters._give_back = lambda *given: give_back(store, *given)

    patch.setattr(MemoryStore, "__init__", bind)


def a_redriven_letter_stays_open(patch: pytest.MonkeyPatch) -> None:
    """A dead letter that was given back can be given back again."""

    def close(letters: MemoryDeadLetters, row: object, status: object, **options: object) -> None:
        return None

    patch.setattr(MemoryDeadLetters, "_close", close)


def a_cancelled_fetch_skips_records(patch: pytest.MonkeyPatch) -> None:
    """Reading moves on before the records are handed over."""

    async def fetch(lease: MemoryLease, *, max_records: int, max_wait_s: float) -> Batch | None:
        batch = lease._given(lease._take(max_records))
        await lease._log.clock.sleep(0.05)
        return batch

    patch.setattr(MemoryLease, "fetch", fetch)


def broken_bytes_are_skipped(patch: pytest.MonkeyPatch) -> None:
    """Bytes that are no event are passed over in silence."""
    dispose = Ledger._dispose
    patch.setattr(Ledger, "_dispose", lambda ledger, failed, broken: dispose(ledger, failed, ()))


def broken_bytes_done_ahead_are_read_again(patch: pytest.MonkeyPatch) -> None:
    """After a reload, broken bytes above a gap become dead letters a second time."""
    take = Offsets.take

    def forgetful(offsets: Offsets, read: Sequence[Record], end: int) -> Sequence[Record]:
        fresh = take(offsets, read, end)
        if read and isinstance(read[0], Broken):
            offsets._open.update(each.offset for each in read)
            return read
        return fresh

    patch.setattr(Offsets, "take", forgetful)


def only_the_first_emit_counts(patch: pytest.MonkeyPatch) -> None:
    """A commit that emits several events loses all but the first."""

    def change(store: MemoryStore, given: Commit) -> Commit:
        return replace(given, outcomes=tuple(replace(o, emits=o.emits[:1]) for o in given.outcomes))

    _commits(patch, change)


def a_conflict_is_taken_for_success(patch: pytest.MonkeyPatch) -> None:
    """A fenced worker goes on from what it has in memory."""

    async def commit(ledger: Ledger, done: Done) -> None:
        try:
            await _ledger_commit(ledger, done)
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - that is the bug
            now: Progress = await ledger._store.progress(ledger.group, ledger.partition)
            ledger.progress = replace(ledger.progress, version=now.version)

    patch.setattr(Ledger, "commit", commit)


_ledger_commit = Ledger.commit


def the_order_of_a_partition_is_reversed(patch: pytest.MonkeyPatch) -> None:
    """Records of one publish are appended last first."""
    append = MemoryLog.append
    patch.setattr(
        MemoryLog, "append", lambda log, topic, events: append(log, topic, list(events)[::-1])
    )


def the_inbox_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Only what is in flight is known: what is committed is handled again."""
    _answers(patch, lambda store, place, ids: set())


def ids_are_not_remembered(patch: pytest.MonkeyPatch) -> None:
    """A commit does not say which ids it takes charge of."""
    _commits(patch, lambda store, given: replace(given, handled=()))


def only_what_succeeds_is_remembered(patch: pytest.MonkeyPatch) -> None:
    """The second copy of what is parked is handled beside it."""

    def change(store: MemoryStore, given: Commit) -> Commit:
        parked = {park.record.event.id for park in given.parks}
        return replace(given, handled=tuple(id for id in given.handled if id not in parked))

    _commits(patch, change)


def dead_letters_are_not_remembered(patch: pytest.MonkeyPatch) -> None:
    """The second copy of what failed for good becomes a second dead letter."""

    def change(store: MemoryStore, given: Commit) -> Commit:
        dead = {msgspec.json.decode(each.value)["eventId"] for each in given.dead if each.key}
        return replace(given, handled=tuple(id for id in given.handled if id not in dead))

    _commits(patch, change)


def what_waits_behind_is_not_remembered(patch: pytest.MonkeyPatch) -> None:
    """What queues behind a failed key without a try is taken for new when it comes again."""

    def ids(done: Done) -> tuple[str, ...]:
        behind = {each.record.event.id for each in done.behind}
        return tuple(id for id in _ids(done) if id not in behind)

    patch.setattr(Done, "ids", ids)


_ids = Done.ids


def ids_in_flight_are_not_known(patch: pytest.MonkeyPatch) -> None:
    """Until the first copy is committed, the second one is handled too."""

    async def sort(inbox: Inbox, records: Sequence[Record]) -> Sorted:
        inbox.forget()
        return await _sort(inbox, records)

    patch.setattr(Inbox, "sort", sort)


def repeats_in_one_batch_are_not_seen(patch: pytest.MonkeyPatch) -> None:
    """Two copies that are read together are both handled."""

    async def sort(inbox: Inbox, records: Sequence[Record]) -> Sorted:
        first, repeats = await _sort(inbox, records)
        fresh = {record.event.id for record in first}
        chosen = [record for record in records if record.event.id in fresh]
        return chosen, [record for record in repeats if record.event.id not in fresh]

    patch.setattr(Inbox, "sort", sort)


def in_flight_is_looked_at_after_the_store(patch: pytest.MonkeyPatch) -> None:
    """A commit that ends while the store is asked is missed in both places."""

    async def sort(inbox: Inbox, records: Sequence[Record]) -> Sorted:
        ids = [record.event.id for record in records]
        known = set(await inbox._store.handled(inbox._group, inbox._topic, ids))
        first: list[Record] = []
        for record in records:
            if record.event.id not in known and record.event.id not in inbox._in_flight:
                first.append(record)
                inbox._in_flight.add(record.event.id)
        return first, [record for record in records if record not in first]

    patch.setattr(Inbox, "sort", sort)


def in_flight_survives_a_reload(patch: pytest.MonkeyPatch) -> None:
    """What was not committed is taken for a repeat when it is read again."""
    patch.setattr(Inbox, "forget", lambda inbox: None)


def remembered_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """Asking is remembering: what a crash keeps from being committed is lost."""

    def answer(store: MemoryStore, place: tuple[str, str], ids: Collection[str]) -> set[str]:
        known = {id for id in ids if (*place, id) in store._inbox}
        store._inbox.update((*place, id) for id in ids)
        return known

    _answers(patch, answer)


def remembered_although_refused(patch: pytest.MonkeyPatch) -> None:
    """Ids are noted apart from the commit, and stay where it is fenced."""

    async def commit(store: MemoryStore, given: Commit) -> None:
        store._inbox.update((given.group, given.partition.topic, id) for id in given.handled)
        await _commit(store, given)

    patch.setattr(MemoryStore, "commit", commit)


def groups_share_an_inbox(patch: pytest.MonkeyPatch) -> None:
    """What one group has handled is passed over by the next."""

    def answer(store: MemoryStore, place: tuple[str, str], ids: Collection[str]) -> set[str]:
        known = {(topic, id) for _, topic, id in store._inbox}
        return {id for id in ids if (place[1], id) in known}

    _answers(patch, answer)


def a_repeat_stays_open(patch: pytest.MonkeyPatch) -> None:
    """The offset of a repeat is not counted as done: progress stops below it."""

    async def sort(inbox: Inbox, records: Sequence[Record]) -> Sorted:
        first, _ = await _sort(inbox, records)
        return first, ()

    patch.setattr(Inbox, "sort", sort)


def a_batch_of_repeats_is_not_committed(patch: pytest.MonkeyPatch) -> None:
    """Where nothing but repeats was read, progress stays where it was."""

    async def commit(ledger: Ledger, done: Done) -> None:
        if not done.repeats or done.records or done.behind or done.broken:
            await _ledger_commit(ledger, done)

    patch.setattr(Ledger, "commit", commit)


def a_repeat_queues_behind_its_key(patch: pytest.MonkeyPatch) -> None:
    """A second copy of what waits for another try waits behind it, and is handled after it."""

    async def first_copies(ledger: Ledger, records: Sequence[Record]) -> Sorted:
        first, repeats = await _first_copies(ledger, records)
        waiting = [r for r in repeats if r.event.key in ledger.progress.parked_keys]
        fresh = {record.offset for record in (*first, *waiting)}
        return (
            [record for record in records if record.offset in fresh],
            [record for record in repeats if record.offset not in fresh],
        )

    patch.setattr(Ledger, "first_copies", first_copies)


_first_copies = Ledger.first_copies


def what_was_parked_is_a_repeat(patch: pytest.MonkeyPatch) -> None:
    """The inbox is asked about parked records too, and knows them: they are never tried again."""
    due = Ledger.due

    async def asked(ledger: Ledger, limit: int) -> Sequence[Record]:
        rows = await due(ledger, limit)
        if ledger._inbox is None or not rows:
            return rows
        return (await _sort(ledger._inbox, rows))[0]

    patch.setattr(Ledger, "due", asked)


def the_inbox_is_off(patch: pytest.MonkeyPatch) -> None:
    """A log that keeps repeats is taken for one that drops them."""
    patch.setattr(MemoryTransport, "guarantees", _all_guarantees)
    patch.setattr("motet.transports.memory.BROKER", _all_guarantees)


def a_failed_join_ends_the_worker(patch: pytest.MonkeyPatch) -> None:
    """A group that cannot be joined for a moment is not joined at all."""

    async def run(worker: Worker) -> None:
        await worker._take_part()

    patch.setattr(Worker, "run", run)


def a_lost_membership_goes_unnoticed(patch: pytest.MonkeyPatch) -> None:
    """When no more leases come, the worker goes on with those it has."""

    async def intake(worker: Worker, leases: Subscription, tasks: asyncio.TaskGroup) -> None:
        try:
            async for lease in leases:
                tasks.create_task(worker._pump(lease))
        except Unavailable:
            return

    patch.setattr(Worker, "_intake", intake)


CAUGHT_BY: dict[Bug, tuple[int, ...]] = {
    commit_without_the_version_check: (3, 8, 21, 33, 38),
    progress_before_effects: (0, 3, 30, 36, 39),
    effects_before_the_check: (45, 82, 105, 118, 123),
    later_records_pass_a_parked_one: (1, 2, 3, 4, 5),
    what_waits_behind_does_not_hold_its_key: (321,),
    a_commit_under_way_is_in_neither_state: (16, 69, 102, 157, 199),
    a_failed_key_is_not_held_until_its_commit: (1, 22, 31, 70, 118),
    settled_rows_stay: (1, 2, 3, 4, 5),
    a_retried_row_goes_to_the_back: (1, 3, 4, 5, 6),
    retries_before_they_are_due: (1, 2, 3, 4, 6),
    timers_before_they_are_due: (0, 1, 2, 4, 5),
    no_deduplication: (0, 1, 2, 3, 4),
    ahead_is_forgotten_on_resume: (0, 15, 23, 39, 46),
    a_full_window_ahead_stops_fetching: (0, 15, 23, 39, 46),
    progress_jumps_to_the_furthest: (0, 9, 15, 23, 27),
    marked_published_before_it_is: (2, 7, 8, 15, 16),
    emits_of_retries_are_lost: (1, 2, 3, 4, 5),
    effects_of_failures_are_kept: (1, 2, 3, 4, 10),
    state_of_a_batch_is_not_seen: (1, 3, 5, 7, 8),
    pending_state_is_not_seen: (1, 5, 6, 8, 9),
    state_versions_are_not_compared: (16, 19, 30, 41, 69),
    dead_letters_are_dropped: (0, 1, 2, 3, 4),
    dead_but_still_parked: (1, 2, 3, 4, 6),
    a_redrive_goes_unnoticed: (4, 7, 14, 19, 28),
    a_redriven_letter_stays_open: (0, 4, 7, 14, 19),
    a_cancelled_fetch_skips_records: (1, 2, 3, 4, 5),
    broken_bytes_done_ahead_are_read_again: (66, 78, 205, 273),
    broken_bytes_are_skipped: (0, 3, 4, 5, 6),
    only_the_first_emit_counts: (0, 1, 2, 3, 4),
    a_conflict_is_taken_for_success: (0, 2, 4, 5, 7),
    the_order_of_a_partition_is_reversed: (0, 1, 3, 6, 7),
    the_inbox_is_not_asked: (5, 10, 11, 15, 18),
    ids_are_not_remembered: (5, 10, 11, 15, 18),
    only_what_succeeds_is_remembered: (5, 10, 11, 15, 18),
    dead_letters_are_not_remembered: (11, 15, 19, 41, 45),
    what_waits_behind_is_not_remembered: (5, 18, 21, 25, 28),
    ids_in_flight_are_not_known: (15, 19, 25, 37, 41),
    repeats_in_one_batch_are_not_seen: (5, 14, 15, 18, 19),
    in_flight_is_looked_at_after_the_store: (709,),
    in_flight_survives_a_reload: (5, 10, 14, 15, 19),
    remembered_before_the_commit: (5, 11, 14, 15, 18),
    remembered_although_refused: (14, 19, 45, 52, 56),
    groups_share_an_inbox: (5, 10, 11, 14, 15),
    a_repeat_stays_open: (5, 10, 11, 15, 19),
    a_batch_of_repeats_is_not_committed: (5, 10, 11, 15, 19),
    a_repeat_queues_behind_its_key: (5, 10, 11, 15, 18),
    what_was_parked_is_a_repeat: (5, 10, 11, 14, 15),
    the_inbox_is_off: (5, 10, 11, 14, 15),
    a_failed_join_ends_the_worker: (2, 4, 5, 6, 8),
    a_lost_membership_goes_unnoticed: (5, 10, 54, 57, 68),
}
