"""What hangs or dies is an error that is named, and is gone afterwards."""

import pytest

from motet.bench import child
from motet.core.errors import MotetError

MODULE = "tests.unit.bench.children"


async def test_a_process_reports_and_its_memory_is_known() -> None:
    result = await child.run(MODULE, "works", within_s=20.0)

    assert result.ended_ns == result.began_ns + 1
    assert result.peak_bytes > 1_000_000


async def test_one_that_does_not_end_in_time_is_ended() -> None:
    process = await child.start(MODULE, "hangs")

    with pytest.raises(MotetError, match=r"did not end within 0\.2 s"):
        await child.finish([process], within_s=0.2)
    assert process.returncode is not None


async def test_one_that_dies_is_an_error() -> None:
    with pytest.raises(MotetError, match="ended early"):
        await child.run(MODULE, "dies", within_s=20.0)


async def test_one_that_cannot_start_is_an_error() -> None:
    with pytest.raises(MotetError, match="did not start"):
        await child.start("tests.unit.bench.nothing_here")


async def test_one_that_is_never_ready_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_START_S", 0.2)

    with pytest.raises(MotetError, match="not ready within"):
        await child.start(MODULE, "silent")
