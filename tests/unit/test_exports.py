"""The public names, pinned: adding or losing one is a decision."""

import motet


def test_the_public_names_are_these() -> None:
    assert set(motet.__all__) == {
        "App",
        "Append",
        "BacklogFull",
        "Backends",
        "BreakerOpen",
        "CodecError",
        "ConcurrencyError",
        "ConfigError",
        "Context",
        "DEFAULT_URL",
        "Draft",
        "Emit",
        "Event",
        "Open",
        "Fenced",
        "Gathered",
        "HandlerError",
        "MotetError",
        "Outcome",
        "Partition",
        "Put",
        "Record",
        "RetryPolicy",
        "Settings",
        "State",
        "TransientError",
        "Unavailable",
        "WrongVersion",
        "connect",
        "emit",
        "event",
    }


def test_every_public_name_exists_and_says_what_it_is() -> None:
    undocumented = [
        name for name in motet.__all__ if not name.isupper() and not getattr(motet, name).__doc__
    ]
    assert undocumented == []
