"""However records are cut into batches, the same comes out; failures leave no trace."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from motet.core.event import Batch, Event, Partition
from motet.core.outcome import Emit, Failure
from motet.core.ports import Processor
from motet.handlers import Draft, Handlers, State, emit
from motet.testing.events import make_event
from tests.unit.handlers.world import NOW_US, Kept, one, records

KEYS = ("a", "b", "c")
CUTS = st.lists(st.integers(0, 12))
TYPES = ("counted", "noted", "ignored")


class Note(msgspec.Struct, frozen=True):
    """How often to emit, and whether to fail after having done so."""

    emits: int
    fails: bool = False
    clears: bool = False


def _handle(note: Note, event: Event, state: State, name: str) -> list[Draft]:
    seen = state.get(list[str]) or []
    if note.clears:
        state.delete()
    else:
        state.put([*seen, f"{name} {event.id[-3:]}"])
    if note.fails:
        raise ValueError("no")
    return [emit("out", [len(seen), n], type="noted") for n in range(note.emits)]


def processor(*, parks: bool, awaited: bool) -> Processor:
    app = Handlers("shop")

    @app.on("orders", "counted", on_failure="park" if parks else "skip")
    def counts(note: Note, event: Event, state: State) -> list[Draft]:
        return _handle(note, event, state, "counts")

    async def notes(note: Note, event: Event, state: State) -> list[Draft]:
        return _handle(note, event, state, "notes")

    def notes_at_once(note: Note, event: Event, state: State) -> list[Draft]:
        return _handle(note, event, state, "notes")

    app.on("orders", "*ted", name="notes")(notes if awaited else notes_at_once)
    return one(app)


notes = st.builds(
    Note,
    emits=st.integers(0, 3),
    fails=st.integers(0, 5).map(lambda n: n == 0),
    clears=st.booleans(),
)


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    drawn = draw(
        st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(TYPES), notes), max_size=12)
    )
    return [
        make_event(n, key=key, type=kind, data=msgspec.to_builtins(note))
        for n, (key, kind, note) in enumerate(drawn)
    ]


class Done(msgspec.Struct):
    emits: list[Emit]
    failures: list[Failure]
    state: dict[str, object]


async def work(processor: Processor, events: Sequence[Event], cuts: Sequence[int]) -> Done:
    """Handle events batch by batch as the runtime does: a key that is parked is not handed out."""
    kept, done = Kept(), Done([], [], {})
    parked: set[str] = set()
    edges = sorted({0, len(events), *(cut % (len(events) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        found = records(events)[start:end]
        done.failures += [Failure(r) for r in found if r.event.key in parked]
        free = tuple(r for r in found if r.event.key not in parked)
        batch = Batch(Partition("orders", 0), free, (), end)
        outcome = await processor.process(batch, kept, now_us=NOW_US)
        kept.apply(outcome.puts)
        done.emits += outcome.emits
        done.failures += outcome.failures
        if processor.parks:
            parked |= {failure.record.event.key for failure in outcome.failures}
    done.state = kept.json()
    return done


def by_key(done: Done) -> tuple[object, object, object]:
    """What there is to compare: failures that were not handed out come in another order."""
    failures = sorted((f.record.offset, str(f.error)) for f in done.failures)
    return done.emits, failures, done.state


@given(
    events=events(), cuts=st.lists(st.integers(0, 12)), parks=st.booleans(), awaited=st.booleans()
)
async def test_cutting_a_batch_changes_neither_emits_nor_state(
    events: list[Event], cuts: list[int], parks: bool, awaited: bool
) -> None:
    app = processor(parks=parks, awaited=awaited)

    whole = await work(app, events, ())
    parts = await work(app, events, cuts)
    singles = await work(app, events, range(len(events)))

    assert by_key(parts) == by_key(whole)
    assert by_key(singles) == by_key(whole)


@given(events=events(), parks=st.booleans(), awaited=st.booleans())
async def test_a_failed_record_is_as_if_it_had_not_been_there(
    events: list[Event], parks: bool, awaited: bool
) -> None:
    app = processor(parks=parks, awaited=awaited)

    done = await work(app, events, ())
    lost = {failure.record.event.id for failure in done.failures}
    without = await work(app, [event for event in events if event.id not in lost], ())

    assert without.failures == []
    assert (without.emits, without.state) == (done.emits, done.state)


@given(events=events(), parks=st.booleans())
async def test_every_record_is_done_or_among_the_failures_and_order_per_key_holds(
    events: list[Event], parks: bool
) -> None:
    done = await work(processor(parks=parks, awaited=False), events, ())

    lost: dict[str, int] = {}
    for failure in done.failures:
        event = failure.record.event
        assert (failure.error is None) == (parks and event.key in lost)
        lost.setdefault(event.key, failure.record.offset)
    if parks:
        assert {f.record.event.id for f in done.failures} == {
            event.id
            for offset, event in enumerate(events)
            if event.key in lost and offset >= lost[event.key]
        }
    ids = [emitted.event.id for emitted in done.emits]
    assert len(set(ids)) == len(ids)
    for key in KEYS:
        causes = [e.event.causation_id for e in done.emits if e.event.key == key]
        assert causes == sorted(causes)


@given(events=events(), parks=st.booleans(), cuts=CUTS)
@example(events=[], parks=True, cuts=[])
async def test_sync_and_async_handlers_mean_the_same(
    events: list[Event], parks: bool, cuts: list[int]
) -> None:
    sync = await work(processor(parks=parks, awaited=False), events, cuts)
    awaited = await work(processor(parks=parks, awaited=True), events, cuts)

    assert by_key(sync) == by_key(awaited)
