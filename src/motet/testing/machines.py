"""A store against its model: random steps, and after each both must say the same.

```python
class SqliteMachine(StoreMachine):
    def make(self) -> AbstractAsyncContextManager[Store]:
        return open_store("sqlite:///...")

TestSqliteStore = SqliteMachine.TestCase
```
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from motet.core.clock import SystemClock
from motet.core.errors import ConcurrencyError, MotetError
from motet.core.event import Partition, Record
from motet.core.outcome import Append, Commit, DeadLetter, Emit, ErrorInfo, Outcome, Park, Put
from motet.core.ports import Store, StoredDeadLetter
from motet.stores.memory import MemoryLog, MemoryStore
from motet.testing.events import make_event

T = TypeVar("T")

GROUPS = ("g", "h")
PARTITIONS = (Partition("t", 0), Partition("t", 1), Partition("u", 0))
KEYS = ("a", "b", "c")
STREAMS = ("s1", "s2")
IDS = ("i1", "i2", "i3", "i4")
FAR_US = 2**53

groups = st.sampled_from(GROUPS)
partitions = st.sampled_from(PARTITIONS)
keys = st.sampled_from(KEYS)
instants = st.integers(0, 20)


class Step(msgspec.Struct, frozen=True):
    """What a commit is to do, in terms that mean the same to both stores."""

    stale: int  # how far the progress version it claims is off
    ahead: tuple[int, ...]
    puts: tuple[tuple[str, bytes | None, int], ...]  # key, value, how far the version is off
    appends: tuple[tuple[str, int, int | None], ...]  # stream, number of events, expected
    emits: tuple[tuple[str, int], ...]  # topic, due
    parks: tuple[tuple[str, int], ...]  # key, due
    settle: frozenset[int]  # which of the parked rows, by rank
    retry: tuple[tuple[int, int], ...]  # rank of a parked row, due
    dead: tuple[str, ...]  # keys
    handled: tuple[str, ...]  # ids


steps = st.builds(
    Step,
    stale=st.sampled_from((0, 0, 0, 0, 0, 1, -1)),
    ahead=st.lists(st.integers(0, 9), max_size=3, unique=True).map(lambda n: tuple(sorted(n))),
    puts=st.lists(
        st.tuples(keys, st.none() | st.binary(max_size=3), st.sampled_from((0, 0, 0, 0, 1))),
        max_size=3,
    ).map(tuple),
    appends=st.lists(
        st.tuples(
            st.sampled_from(STREAMS), st.integers(0, 3), st.none() | st.just(0) | st.integers(0, 4)
        ),
        max_size=2,
    ).map(tuple),
    emits=st.lists(st.tuples(st.sampled_from(("x", "y")), instants), max_size=3).map(tuple),
    parks=st.lists(st.tuples(keys, instants), max_size=3).map(tuple),
    settle=st.frozensets(st.integers(0, 5), max_size=3),
    retry=st.lists(st.tuples(st.integers(0, 5), instants), max_size=2).map(tuple),
    dead=st.lists(keys, max_size=2).map(tuple),
    handled=st.lists(st.sampled_from(IDS), max_size=3).map(tuple),
)


class StoreMachine(RuleBasedStateMachine):
    """Compares a store with `MemoryStore`, step by step. Its emits must all go to the outbox."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self._events = 0

    def make(self) -> AbstractAsyncContextManager[Store]:
        """Return a fresh, empty store; closed when the block is left."""
        raise NotImplementedError

    @initialize()
    def start(self) -> None:
        """Open both stores."""
        self._subject = self._runner.run(self._open.enter_async_context(self.make()))
        self._model: Store = MemoryStore(MemoryLog(SystemClock()), shared=False)

    def teardown(self) -> None:
        """Close what was opened."""
        self._runner.run(self._open.aclose())
        self._runner.close()

    @rule(group=groups, partition=partitions, step=steps)
    def commit(self, group: str, partition: Partition, step: Step) -> None:
        """Commit something, from the right version or a wrong one."""
        first = self._events
        self._events += 100
        self._same(lambda store: _commit(store, group, partition, step, first))

    @rule(group=groups, partition=partitions, now_us=instants, limit=st.integers(1, 30))
    def parked(self, group: str, partition: Partition, now_us: int, limit: int) -> None:
        """Read what is due: per key, for the order between keys is not promised."""

        async def due(store: Store) -> object:
            found = await store.parked(group, partition, now_us=now_us, limit=limit)
            return len(found), _by_key(found) if len(found) < limit else None

        self._same(due)

    @rule(stream=st.sampled_from(STREAMS), count=st.integers(0, 3), data=st.data())
    def append(self, stream: str, count: int, data: st.DataObject) -> None:
        """Append to a stream, expecting something or nothing."""
        expected = data.draw(st.none() | st.integers(0, 6))
        events = [make_event(self._events + n) for n in range(count)]
        self._events += 100
        self._same(lambda store: store.streams.append(stream, events, expected=expected))

    @rule(now_us=instants, limit=st.integers(1, 4))
    def relay(self, now_us: int, limit: int) -> None:
        """Publish what is due."""

        async def publish(store: Store) -> object:
            rows = await store.outbox.due(now_us=now_us, limit=limit)
            await store.outbox.done([row.id for row in rows])
            return [row.emit for row in rows]

        self._same(publish)

    @rule(ranks=st.frozensets(st.integers(0, 6), max_size=4), now_us=instants)
    def redrive(self, ranks: frozenset[int], now_us: int) -> None:
        """Give some dead letters back."""
        self._same(
            lambda store: _with_letters(
                store, ranks, lambda ids: store.dead_letters.redrive(ids, by="ann", now_us=now_us)
            )
        )

    @rule(ranks=st.frozensets(st.integers(0, 6), max_size=2))
    def archive(self, ranks: frozenset[int]) -> None:
        """Close some dead letters."""
        self._same(
            lambda store: _with_letters(
                store,
                ranks,
                lambda ids: store.dead_letters.archive(ids, by="bob", notes="n", now_us=9),
            )
        )

    @invariant()
    def both_say_the_same(self) -> None:
        """Compare everything that can be asked."""
        self._same(_everything)

    def _same(self, ask: Callable[[Store], Awaitable[object]]) -> None:
        model = self._runner.run(_answer(ask, self._model))
        subject = self._runner.run(_answer(ask, self._subject))
        assert subject == model


async def _answer(ask: Callable[[Store], Awaitable[object]], store: Store) -> object:
    try:
        return await ask(store)
    except ConcurrencyError:
        return "reload"  # which of two conflicts is seen first is the store's own affair
    except MotetError as err:
        return type(err).__name__


async def _commit(store: Store, group: str, partition: Partition, step: Step, first: int) -> None:
    progress = await store.progress(group, partition)
    rows = await _all_parked(store, group, partition)
    settled = [row for rank, row in enumerate(rows) if rank in step.settle]
    retried = {rank: due for rank, due in step.retry if rank < len(rows)}
    await store.commit(
        Commit(
            group=group,
            partition=partition,
            version=progress.version + step.stale,
            next=progress.next + 1,
            ahead=tuple(progress.next + 1 + n for n in step.ahead),
            outcomes=await _outcomes(store, group, step, first),
            parks=tuple(
                Park(Record(make_event(first + 20 + n, key=key), first + n), due, first_failed_us=1)
                for n, (key, due) in enumerate(step.parks)
            ),
            retried=tuple(
                Park(
                    msgspec.structs.replace(rows[rank], attempt=rows[rank].attempt + 1),
                    due,
                    ErrorInfo("Boom", "it broke"),
                    first_failed_us=2,
                )
                for rank, due in retried.items()
                if rank not in step.settle
            ),
            settled=tuple(row.parked for row in settled),
            dead=tuple(
                _letter(group, partition, first + 40 + n, key) for n, key in enumerate(step.dead)
            ),
            handled=step.handled,
        )
    )


async def _outcomes(store: Store, group: str, step: Step, first: int) -> tuple[Outcome, ...]:
    found = await store.state(group).get_many(KEYS)
    versions = {key: each.version for key, each in found.items()}
    puts: list[Put] = []
    for key, value, off in step.puts:
        expected = versions.get(key, 0)
        puts.append(Put(key, value, expected + off))
        versions[key] = 0 if value is None else expected + 1
    appends = tuple(
        Append(stream, tuple(make_event(first + 60 + 5 * n + i) for i in range(count)), expected)
        for n, (stream, count, expected) in enumerate(step.appends)
    )
    emits = tuple(
        Emit(topic, make_event(first + n), not_before_us=due)
        for n, (topic, due) in enumerate(step.emits)
    )
    # One put an outcome: those after the first see what the ones before leave.
    return (Outcome(emits=emits, appends=appends), *(Outcome(puts=(put,)) for put in puts))


def _letter(group: str, partition: Partition, number: int, key: str) -> DeadLetter:
    return DeadLetter(
        topic=partition.topic,
        partition=partition.index,
        offset=number,
        group=group,
        key=key,
        event_type="thing.happened",
        value=msgspec.json.encode(make_event(number, key=key)),
        error=ErrorInfo("Boom", "it broke"),
        attempts=5,
        first_failed_us=3,
    )


async def _all_parked(store: Store, group: str, partition: Partition) -> list[Record]:
    """Every parked record, in an order that does not depend on the store."""
    found = await store.parked(group, partition, now_us=FAR_US, limit=10_000)
    return sorted(found, key=lambda record: (record.event.key, record.parked))


def _by_key(records: Sequence[Record]) -> dict[str, list[Record]]:
    keys: dict[str, list[Record]] = {}
    for record in records:
        # Row ids are the store's own affair.
        plain = msgspec.structs.replace(record, parked=0)
        keys.setdefault(record.event.key, []).append(plain)
    return keys


async def _with_letters(
    store: Store, ranks: frozenset[int], do: Callable[[list[int]], Awaitable[T]]
) -> T:
    letters = await store.dead_letters.list(limit=10_000)
    return await do([letter.id for rank, letter in enumerate(letters) if rank in ranks])


async def _everything(store: Store) -> object:
    places = [(group, partition) for group in GROUPS for partition in PARTITIONS]
    letters = await store.dead_letters.list(limit=10_000)
    recorded = await store.streams.read_all(limit=10_000)
    return {
        "progress": [await store.progress(*place) for place in places],
        "parked": [_by_key(await _all_parked(store, *place)) for place in places],
        "inbox": [set(await store.handled(g, t, IDS)) for g in GROUPS for t in ("t", "u")],
        "groups": list(await store.groups()),
        "state": [dict(await store.state(group).get_many(KEYS)) for group in GROUPS],
        "outbox": [row.emit for row in await store.outbox.due(now_us=FAR_US, limit=10_000)],
        "next due": await store.outbox.next_due_us(),
        "letters": [_plain(letter) for letter in letters],
        "counts": dict(await store.dead_letters.counts()),
        "recorded": [(r.stream, r.version, r.event) for r in recorded],
        "streams": [[r.event.id for r in await store.streams.read(s)] for s in STREAMS],
    }


def _plain(letter: StoredDeadLetter) -> StoredDeadLetter:
    return msgspec.structs.replace(letter, id=0, dlq_id="", created_us=0)
