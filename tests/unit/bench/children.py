"""Processes of a benchmark that go wrong, or do not: `python -m tests.unit.bench.children ROLE`."""

import sys
import time

from motet.bench.child import Result, go, report


def main(role: str) -> None:
    if role == "silent":
        sys.stdin.read()
    before_s = go()
    if role == "hangs":
        sys.stdin.read()
    if role == "dies":
        sys.exit(3)
    now_ns = time.monotonic_ns()
    report(Result(began_ns=now_ns, ended_ns=now_ns + 1), before_s=before_s)


if __name__ == "__main__":
    main(sys.argv[1])
