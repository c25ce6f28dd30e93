import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {"apsw", "cyclopts", "prometheus_client", "rich", "starlette", "uvicorn"}


def test_motet_asks_for_at_most_twelve_distributions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert len(project["dependencies"]) <= 12


def test_importing_motet_loads_neither_a_driver_nor_a_server_nor_a_terminal() -> None:
    program = "import motet, sys; print(*sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()

    assert "motet" in loaded
    assert HEAVY.isdisjoint(loaded)
