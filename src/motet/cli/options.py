"""What every command takes: where the data is, JSON, tracebacks."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import App, Group, Parameter

from motet.backends import DEFAULT_URL, Backends, broker, connect, database_file
from motet.cli.console import Console
from motet.cli.names import nearest
from motet.cli.urls import chosen_store, chosen_url
from motet.core.errors import ConfigError, MotetError
from motet.core.ports import TopicInfo

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Flag = Parameter(negative="", show_default=False)
"""An option that is there or not; `--no-...` would only lengthen the help."""


def command(name: str) -> App:
    """Return an empty command; its module adds what it does."""
    return App(name=name, group_parameters=Group("Options", sort_key=1))


@Parameter(name="*", group=Group("Common options", sort_key=2))
@dataclass(frozen=True)
class Options:
    """Options of every command."""

    url: str | None = None
    """Where events and state are kept; else MOTET_URL, else what the file named by MOTET_URL_FILE
    says, else sqlite:///.motet/motet.db."""

    store: str | None = None
    """Where state is kept if URL is a broker's; else MOTET_STORE, or what the file named by
    MOTET_STORE_FILE says, else sqlite:///.motet/motet.db."""

    json: Annotated[bool, Flag] = False
    """Print JSON on standard output, for programs."""

    debug: Annotated[bool, Flag] = False
    """Show tracebacks, and debug lines in logs."""

    def console(self) -> Console:
        """Return the console of a command with these options."""
        return Console(as_json=self.json)

    def chosen_url(self, default: str = DEFAULT_URL) -> str:
        """Return the URL that these options and the environment choose."""
        return chosen_url(self.url, os.environ, default=default)

    def chosen_store(self) -> str | None:
        """Return the URL of the store that these options and the environment choose, if any."""
        return chosen_store(self.store, os.environ)

    @asynccontextmanager
    async def connect(self, *, make: bool = False, alone: bool = False) -> AsyncIterator[Backends]:
        """Open transport and store.

        With `make`, what is not there yet is made. With `alone`, it may be in memory: the command
        needs nobody else to have been there before, or to look at it afterwards.

        Raises:
            ConfigError: the URL is of no use.
            MotetError: nothing is there yet.
        """
        url = self.chosen_url()
        if urlsplit(url).scheme == "memory" and not alone:
            raise ConfigError(
                "memory:// lives inside one process, and ends with it; name a file with "
                "--url sqlite:///FILE"
            )
        store = self.chosen_store() or (DEFAULT_URL if broker(url) else url)
        file = database_file(store)
        if not make and file is not None and not file.exists():
            raise MotetError(
                f"there is no database at {str(file)!r}; go to the program's folder, start one "
                "with `motet run`, `motet worker` or `motet publish`, or name another with --url"
            )
        async with connect(url, store=store) as backends:
            yield backends


DEFAULTS = Options()
"""None of them given."""


def named_topic(name: str, topics: list[TopicInfo]) -> TopicInfo:
    """Return the topic called `name`.

    Raises:
        MotetError: there is none; the message names the nearest.
    """
    for topic in topics:
        if topic.name == name:
            return topic
    raise MotetError(
        f"there is no topic {name!r}{nearest(name, [topic.name for topic in topics])}; "
        "`motet topics` lists them"
    )


def parse_duration(text: str) -> float:
    """Return seconds for `90s`, `15m`, `12h`, `7d`.

    Raises:
        ConfigError: it is none of these.
    """
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise ConfigError(f"{text!r} is no length of time; write it like 90s, 15m, 12h or 7d")
    return float(found[1]) * _SECONDS[found[2]]
