"""What a topic may be called."""

import re

from motet.core.errors import ConfigError

TOPIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,248}")
"""The names that every broker takes: Kafka's rule, and no leading dot, dash or underscore."""


def check_topic(name: str) -> None:
    """Refuse a name that is none.

    Raises:
        ConfigError: it is not 1 to 249 of A-Z a-z 0-9 . _ - or begins with one of ._-
    """
    if not TOPIC.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no topic: a topic has 1 to 249 of A-Z a-z 0-9 . _ - and begins with a "
            "letter or a digit"
        )
