import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.transports.kafka.ahead import from_metadata, to_metadata

offsets = st.sets(st.integers(0, 5_000), max_size=400)


@given(st.integers(0, 2**50), offsets)
def test_what_is_ahead_comes_back(next_offset: int, gaps: set[int]) -> None:
    ahead = tuple(sorted(next_offset + gap for gap in gaps))
    assert from_metadata(next_offset, to_metadata(next_offset, ahead)) == ahead


def test_what_does_not_fit_is_left_out_from_the_end() -> None:
    ahead = tuple(range(0, 20_000, 2))
    text = to_metadata(0, ahead)
    kept = from_metadata(0, text)
    assert len(text) <= 4096
    assert 800 < len(kept) < len(ahead)
    assert kept == ahead[: len(kept)]


@pytest.mark.parametrize("text", [None, "", "written by another program"])
def test_the_metadata_of_others_is_not_looked_at(text: str | None) -> None:
    assert from_metadata(5, text) == ()
