"""Refuse a module that has outgrown one idea: 500 lines in src, 800 in tests."""

import sys
from pathlib import Path

LIMITS = {"src": 500, "tests": 800}


def oversized(root: Path) -> list[str]:
    found = []
    for folder, limit in LIMITS.items():
        for module in sorted((root / folder).rglob("*.py")):
            lines = len(module.read_text(encoding="utf-8").splitlines())
            if lines > limit:
                found.append(f"{module.relative_to(root)}: {lines} lines, at most {limit}")
    return found


if __name__ == "__main__":
    problems = oversized(Path(__file__).parents[1])
    for problem in problems:
        print(problem)
    sys.exit(bool(problems))
