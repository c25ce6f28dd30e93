"""Run seeds by hand: `python -m tests.sim SEED...`, or `FIRST-LAST` for a range.

`python -m tests.sim --bugs [NAME...]` plants each bug in turn and prints the seeds that find it.
"""

import logging
import sys
from collections.abc import Iterable, Iterator

import pytest

from tests.sim.planted import CAUGHT_BY, Bug
from tests.sim.world import Failed, run_seed

SEEDS = range(300)
ENOUGH = 5


def main(arguments: list[str]) -> int:
    """Do what the arguments say."""
    logging.disable()  # the faults are meant to happen
    if arguments[:1] == ["--bugs"]:
        return bugs(arguments[1:])
    return seeds(arguments)


def seeds(arguments: Iterable[str]) -> int:
    """Run each seed named and print what happened."""
    failed = 0
    for argument in arguments:
        first, _, last = argument.partition("-")
        for seed in range(int(first), int(last or first) + 1):
            try:
                ending = run_seed(seed)
            except Failed as err:
                failed += 1
                _print(str(err))
            else:
                _print(f"seed {seed}: {ending.tries} tries, {sum(ending.seen.values())} faults")
    return min(failed, 1)


def bugs(names: Iterable[str]) -> int:
    """Print a table: the bug, the first seeds that find it, what the first one says."""
    missed = 0
    chosen = [bug for bug in CAUGHT_BY if not names or bug.__name__ in names]
    for bug in chosen:
        found = list(_catching(bug))
        missed += not found
        numbers = ", ".join(str(seed) for seed, _ in found) or "none"
        _print(f"{bug.__name__:44} {numbers:28} {found[0][1] if found else ''}")
    _print(f"{len(chosen) - missed} of {len(chosen)} bugs found within {len(SEEDS)} seeds")
    return min(missed, 1)


def _catching(bug: Bug) -> Iterator[tuple[int, str]]:
    count = 0
    for seed in sorted({*SEEDS, *CAUGHT_BY[bug]}):
        with pytest.MonkeyPatch.context() as patch:
            bug(patch)
            try:
                run_seed(seed)
            except Failed as err:
                if not isinstance(err.reason, AssertionError):
                    raise  # the bug is planted wrongly: it does not even run
                yield seed, f"{type(err.reason).__name__}: {err.reason}"[:110]
                count += 1
        if count == ENOUGH:
            return


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
