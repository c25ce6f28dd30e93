"""The lanes of one lease, from one reload of progress to the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from motet.core.errors import WrongVersion
from motet.core.event import Batch, Record
from motet.core.outcome import Failure, Outcome, Put
from motet.resilience.retry import retryable
from motet.runtime.ledger import Ledger
from motet.runtime.pending import PendingState
from motet.runtime.pump import Source
from motet.runtime.readings import Done, merge
from motet.runtime.settings import Settings

_RETRY_LOOK_S = 0.1  # between looks for due records while others are being tried again

Handle = Callable[[Record], Awaitable[Done | None]]


class Session:
    """Feeds lanes, one task per key with something to do, and commits what they finish."""

    def __init__(
        self,
        handle: Handle,
        tasks: asyncio.TaskGroup,
        source: Source,
        ledger: Ledger,
        state: PendingState,
        *,
        settings: Settings,
        parks: bool,
    ) -> None:
        self._handle = handle
        self._tasks = tasks
        self._source = source
        self._ledger = ledger
        self._state = state
        self._settings = settings
        self._parks = parks
        self._lanes: dict[str, deque[Record]] = {}
        self._stale: set[str] = set()  # keys at work on what a conflict took back
        self._retrying: dict[int, str] = {}  # parked rows in hand, with their keys
        self._done: list[Done] = []
        self._committing = False
        self._committed: dict[int, asyncio.Event] = {}  # by id of the Done a lane waits for
        self._news = asyncio.Event()  # something is done, or nothing more will come
        self._space = asyncio.Event()
        self._fed = False

    async def feed(self) -> None:
        """Fetch and hand out until the source stops or the lease is gone."""
        ledger = self._ledger
        while not self._source.stopping:
            room = await self._room()
            self._enqueue(await self._due(room))
            batch = await self._source.fetch(max_records=room, max_wait_s=self._wait_s())
            if batch is None:
                break
            if batch.records or batch.broken:
                await self._hand_out(batch)
            elif self._busy:
                continue
            elif batch.end > ledger.progress.next:
                ledger.offsets.take((), batch.end)  # retention emptied what we had not read
                self._finish(Done((), ()))
            elif await ledger.moved():
                await self._source.lease.seek(await ledger.resume())
        self._fed = True
        self._news.set()

    async def _hand_out(self, batch: Batch) -> None:
        offsets = self._ledger.offsets
        taken = offsets.take(batch.records, batch.end)
        broken = offsets.take(batch.broken, batch.end)
        first, repeats = await self._ledger.first_copies(taken)
        # Only now, and with nothing awaited in between: which keys wait may have changed.
        free, behind = self._ledger.split(self._join_stale(first))
        if behind or broken or repeats:
            records = [each.record for each in behind]
            self._finish(Done(records, (), behind, broken, repeats=repeats))
        self._enqueue(free)

    async def commit(self) -> None:
        """Commit whatever is done, together; returns once all that was begun is committed."""
        while not (self._fed and not self._lanes and not self._done):
            await self._news.wait()
            self._news.clear()
            while self._done:
                done, self._done = self._done, []
                self._committing = True
                await self._commit(done)
                self._committing = False
                await self._source.lease.ack(self._ledger.progress.next)

    async def _commit(self, done: Sequence[Done]) -> None:
        if any(self._state.rests(each.view) for each in done):
            await self._one_by_one(done)
            return
        try:
            await self._ledger.commit(merge(done))
        except WrongVersion:
            await self._one_by_one(done)
        else:
            self._forget(done)

    @property
    def _busy(self) -> bool:
        return bool(
            self._lanes
            or self._done
            or self._committing  # progress in memory is not that of the store just now
            or self._retrying
            or self._ledger.offsets.in_flight
        )

    async def _room(self) -> int:
        offsets = self._ledger.offsets
        while not self._source.stopping:
            room = self._settings.max_in_flight - offsets.in_flight - len(self._retrying)
            if room > 0 and (offsets.ahead < self._settings.max_records or not offsets.in_flight):
                return room
            self._space.clear()
            await self._space.wait()
        return 1

    def _wait_s(self) -> float:
        due_s = self._ledger.due_in_s()
        if due_s is None:
            return self._settings.poll_s
        # Never 0: those in hand are due all the time, and so are those that another worker has
        # settled, until that is noticed once the lanes are empty.
        return min(max(due_s, _RETRY_LOOK_S), self._settings.poll_s)

    async def _due(self, limit: int) -> list[Record]:
        if self._source.stopping:
            return []
        # The keys in hand when asking: before the answer comes a row of theirs may be settled, or
        # have failed again, and what the answer says of them is no longer true.
        in_hand = {*self._lanes, *self._retrying.values()}
        rows = await self._ledger.due(limit + len(self._retrying))
        records = [record for record in rows if record.event.key not in in_hand]
        self._retrying.update((record.parked, record.event.key) for record in records)
        return records

    def _join_stale(self, records: Sequence[Record]) -> Sequence[Record]:
        """Queue what belongs behind a lane that is about to be put aside; return the others."""
        if not self._stale:
            return records
        for record in records:
            if record.event.key in self._stale:
                self._lanes[record.event.key].append(record)
        return [record for record in records if record.event.key not in self._stale]

    def _enqueue(self, records: Iterable[Record]) -> None:
        for record in records:
            key = record.event.key
            lane = self._lanes.get(key)
            if lane is not None:
                lane.append(record)
                continue
            self._lanes[key] = deque((record,))
            self._tasks.create_task(self._lane(key), name=f"{self._ledger.group}/{key}")

    async def _lane(self, key: str) -> None:
        lane = self._lanes[key]
        while lane:
            done = await self._handle(lane[0])
            if done is None:
                break  # all stops: what was not begun stays undone, and open in the ledger
            if key in self._stale:
                self._wait_behind(lane)
                break
            lane.popleft()
            if self._parks and any(_holds(each) for each in done.outcomes[0].failures):
                self._ledger.hold(done.records[0])
                self._finish(done)
                self._wait_behind(lane)
                break
            self._finish(done)
            if done.outcomes[0].appends and lane:
                await self._until_committed(done)  # the next one may read the stream
        del self._lanes[key]
        self._stale.discard(key)
        self._news.set()
        self._space.set()

    def _wait_behind(self, lane: deque[Record]) -> None:
        if lane:
            for record in lane:
                self._ledger.hold(record)
            self._finish(Done(list(lane), (), [Failure(record) for record in lane]))
            lane.clear()

    def _finish(self, done: Done) -> None:
        self._state.add(_puts(done))
        self._done.append(done)
        self._news.set()

    async def _until_committed(self, done: Done) -> None:
        committed = self._committed[id(done)] = asyncio.Event()
        await committed.wait()

    async def _one_by_one(self, done: Iterable[Done]) -> None:
        """Commit each alone: one that conflicts fails, and takes only its own key with it.

        The conflict is with another partition, or with a stream: a try that is lost, as others
        are. What others made of its puts is lost with it; later records of its key wait behind.
        """
        lost: set[str] = set()
        for each in done:
            if len(each.records) == 1 and each.outcomes and each.records[0].event.key in lost:
                await self._commit_instead(each, Done(each.records, (), _waiting(each)))
                continue
            try:
                if self._state.rests(each.view):
                    raise WrongVersion(each.records[0].event.key, expected=None, found=0)
                await self._ledger.commit(each)
            except WrongVersion as err:
                record = each.records[0]
                if self._parks:
                    lost.add(record.event.key)
                    if record.event.key in self._lanes:
                        self._stale.add(record.event.key)
                failed = Outcome(failures=(Failure(record, err),))
                instead = Done(each.records, (failed,), seconds=each.seconds)
                await self._commit_instead(each, instead)
            else:
                self._forget([each])

    async def _commit_instead(self, given: Done, instead: Done) -> None:
        self._state.drop(_puts(given))
        self._ledger.hold(instead.records[0])
        await self._ledger.commit(instead)
        self._free(given)

    def _forget(self, done: Iterable[Done]) -> None:
        for each in done:
            self._state.done(_puts(each))
            self._free(each)

    def _free(self, done: Done) -> None:
        """Make room for others, and let go on who waited for this commit."""
        for record in done.records:
            self._retrying.pop(record.parked, None)
        if (committed := self._committed.pop(id(done), None)) is not None:
            committed.set()
        self._space.set()
        if not self._retrying and self._ledger.due_in_s() is not None:
            self._source.interrupt()


def _puts(done: Done) -> list[Put]:
    return [put for outcome in done.outcomes for put in outcome.puts]


def _holds(failure: Failure) -> bool:
    """Whether the key has to wait: not for what becomes a dead letter at once."""
    return failure.error is None or retryable(failure.error)


def _waiting(done: Done) -> list[Failure]:
    return [Failure(record) for record in done.records]
