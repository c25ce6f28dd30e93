import logging
from collections.abc import Iterator

import pytest

from tests.sim.planted import CAUGHT_BY, Bug
from tests.sim.world import Failed, run_seed

pytestmark = pytest.mark.sim


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("bug", CAUGHT_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    for seed in CAUGHT_BY[bug]:
        try:
            run_seed(seed)
        except Failed as err:
            if not isinstance(err.reason, AssertionError):
                raise  # the bug is planted wrongly: it does not even run
            return
    pytest.fail(
        f"{bug.__name__} is not caught by {CAUGHT_BY[bug]}: the runtime or the scenarios changed; "
        f"find other seeds with: python -m tests.sim --bugs {bug.__name__}"
    )
