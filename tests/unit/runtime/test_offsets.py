"""Which offsets are done, when keys finish out of order."""

from hypothesis import given
from hypothesis import strategies as st

from motet.core.event import Broken, Record
from motet.runtime.offsets import Offsets
from motet.testing.events import make_event


def _records(first: int, count: int) -> list[Record]:
    return [Record(make_event(n), n) for n in range(first, first + count)]


@given(st.data(), st.integers(0, 5), st.lists(st.integers(1, 8), min_size=1, max_size=5))
def test_next_and_ahead_name_exactly_what_is_done(
    data: st.DataObject, start: int, batches: list[int]
) -> None:
    offsets = Offsets(next_offset=start, ahead=())
    in_flight: list[int] = []
    done: set[int] = set()
    end = start
    for count in batches:
        taken = offsets.take(_records(end, count), end + count)
        in_flight += [record.offset for record in taken]
        end += count
        for offset in data.draw(st.lists(st.sampled_from(in_flight), unique=True)):
            offsets.done(offset)
            in_flight.remove(offset)
            done.add(offset)
        next_offset, ahead = offsets.progress()
        assert {n for n in range(start, end) if n < next_offset or n in ahead} == done
        assert list(ahead) == sorted(set(ahead))
        assert all(offset >= next_offset for offset in ahead)
        assert offsets.in_flight == len(in_flight)


@given(st.sets(st.integers(0, 20)))
def test_what_was_done_ahead_is_passed_over_after_a_restart(ahead: set[int]) -> None:
    offsets = Offsets(next_offset=0, ahead=ahead)
    fresh = offsets.take(_records(0, 21), 21)
    assert {record.offset for record in fresh} == set(range(21)) - ahead
    for record in fresh:
        offsets.done(record.offset)
    assert offsets.progress() == (21, ())


def test_a_gap_in_the_log_is_passed_over() -> None:
    offsets = Offsets(next_offset=0, ahead=())
    for record in offsets.take(_records(5, 2), 9):
        offsets.done(record.offset)
    assert offsets.progress() == (9, ())


def test_passing_over_a_batch_counts_it_as_done_at_once() -> None:
    offsets = Offsets(next_offset=0, ahead=(1,))
    assert [r.offset for r in offsets.pass_over(_records(0, 3), 3)] == [0, 2]
    assert offsets.progress() == (3, ())


def test_what_is_taken_later_may_lie_before_what_was_taken() -> None:
    offsets = Offsets(next_offset=0, ahead=())
    offsets.take([*_records(0, 1), *_records(2, 1)], 3)
    offsets.take([Broken(1, b"", "no event")], 3)
    offsets.done(0)
    assert offsets.progress() == (1, ())
