"""Figures as they are written: spreads over runs, and what they were measured on."""

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """Of several runs."""

    median: float
    min: float
    max: float


class Sample(msgspec.Struct, frozen=True):
    """One run."""

    events_per_s: float
    cpu_s_per_100k: float
    peak_mb: float
    publish_per_s: float = 0.0
    latencies_us: list[int] = []


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What figures were measured on, and of what."""

    commit: str
    python: str
    cpu: str


def machine() -> Machine:
    """Return this one; the commit is that of the current folder, if it is a clone."""
    return Machine(commit=revision(Path()), python=platform.python_version(), cpu=_cpu())


def spread(values: Iterable[float]) -> Spread:
    """Return median, least and most; of at least one value."""
    ordered = sorted(values)
    return Spread(
        median=round(statistics.median(ordered), 3),
        min=round(ordered[0], 3),
        max=round(ordered[-1], 3),
    )


def rates(samples: Iterable[Sample]) -> Spread:
    """Return the spread of their rates."""
    return spread(each.events_per_s for each in samples)


def ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> Spread:
    """Return the spread of one rate over the other, run by run."""
    return spread(a.events_per_s / b.events_per_s for a, b in zip(ours, theirs, strict=True))


def percentile_ms(ordered_us: Sequence[int], share: float) -> float:
    """Return a percentile of ascending microseconds, in milliseconds; 0 if there are none."""
    if not ordered_us:
        return 0.0
    return ordered_us[min(len(ordered_us) - 1, int(len(ordered_us) * share))] / 1000


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} x {os.cpu_count()}"
    except OSError:
        pass
    return f"{platform.machine()} x {os.cpu_count()}"


def revision(folder: Path) -> str:
    """Return the commit that is checked out in a folder, shortened; empty if it is no clone."""
    git = folder / ".git"
    if git.is_file():  # a worktree: a file that names its own part of the repository
        git = Path(git.read_text().strip().removeprefix("gitdir: "))
    head = git / "HEAD"
    if not head.is_file():
        return ""
    text = head.read_text().strip()
    if not text.startswith("ref: "):
        return text[:12]
    shared = git / "commondir"
    top = git / shared.read_text().strip() if shared.is_file() else git
    ref = top / text.removeprefix("ref: ")
    return ref.read_text().strip()[:12] if ref.is_file() else ""
