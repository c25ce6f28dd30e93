from pathlib import Path

import pytest

from motet.bench.figures import Sample, Spread, percentile_ms, ratio, revision, spread


def sample(rate: float) -> Sample:
    return Sample(events_per_s=rate, cpu_s_per_100k=1.0, peak_mb=10.0)


def test_a_spread_is_the_median_with_least_and_most() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(median=2.0, min=1.0, max=3.0)


def test_a_ratio_compares_run_with_run_and_not_median_with_median() -> None:
    ours, theirs = [sample(10.0), sample(30.0)], [sample(20.0), sample(10.0)]

    assert ratio(ours, theirs) == Spread(median=1.75, min=0.5, max=3.0)


def test_a_ratio_of_different_numbers_of_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([sample(1.0), sample(2.0)], [sample(1.0)])


def test_a_percentile_is_in_milliseconds_and_0_without_samples() -> None:
    assert percentile_ms(range(0, 100_000, 1000), 0.99) == 99.0
    assert percentile_ms([], 0.5) == 0.0


def test_the_commit_is_that_of_the_branch_of_a_clone(tmp_path: Path) -> None:
    (tmp_path / ".git/refs/heads").mkdir(parents=True)
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git/refs/heads/main").write_text("0123456789abcdef\n")

    assert revision(tmp_path) == "0123456789ab"


def test_the_commit_of_a_worktree_is_that_of_its_own_branch(tmp_path: Path) -> None:
    own = tmp_path / "clone/.git/worktrees/wt"
    (tmp_path / "clone/.git/refs/heads").mkdir(parents=True)
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/topic\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "clone/.git/refs/heads/topic").write_text("fedcba9876543210\n")
    (tmp_path / "wt").mkdir()
    (tmp_path / "wt/.git").write_text(f"gitdir: {own}\n")

    assert revision(tmp_path / "wt") == "fedcba987654"


def test_outside_of_a_clone_there_is_no_commit(tmp_path: Path) -> None:
    assert revision(tmp_path) == ""
