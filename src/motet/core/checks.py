"""What `motet doctor` says of one thing: what was found and, where it is not well, what to do."""

from enum import Enum

import msgspec


class State(Enum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(msgspec.Struct, frozen=True):
    """One thing looked at."""

    name: str  # short and stable: "integrity"
    state: State
    found: str
    advice: str = ""  # what to do; empty when all is well


class Diagnosis(msgspec.Struct, frozen=True):
    """What was found at the place a URL names, and what a caller can go on with."""

    checks: tuple[Check, ...]
    usable: bool  # whether opening it would work, and change nothing
    members: int | None = None  # of consumer groups, at work now; None: not known


def ok(name: str, found: str) -> Check:
    """Return a check that is well."""
    return Check(name, State.OK, found)


def warn(name: str, found: str, advice: str) -> Check:
    """Return a check that works, but should be looked at."""
    return Check(name, State.WARN, found, advice)


def fail(name: str, found: str, advice: str) -> Check:
    """Return a check without which Motet does not work."""
    return Check(name, State.FAIL, found, advice)
