"""`motet bench pipeline` on a broker, small: every contestant does the work and is on the line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from tests.services import valkey


def bench(*args: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "motet", "bench", "pipeline", "--transport", "redis"]
    return subprocess.run(
        [*command, "--folder", str(folder), *args], capture_output=True, text=True, timeout=50
    )


@pytest.mark.slow
def test_contestants_are_measured_and_nothing_is_left_on_the_broker(tmp_path: Path) -> None:
    names = ("motet", "raw", "faststream-single")
    only = [word for name in names for word in ("--only", name)]

    done = bench(
        "--url", valkey(), "--events", "300", "--runs", "1", "--json", *only, folder=tmp_path
    )

    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    figures = json.loads(line)
    assert figures["n"] == dict.fromkeys(names, 300)
    assert figures["ratio"]["median"] > 0
    assert figures["x_faststream_single"]["median"] > 0
    assert "store_events_per_s" not in figures
    assert figures["p99_ms"] >= figures["p50_ms"] > 0
    assert figures["backend"].startswith("valkey ")
    assert "appendfsync" in figures["durability"]
    assert not list(Redis.from_url(valkey()).scan_iter("*motet-bench*"))
    assert not list(tmp_path.iterdir())
