"""Structured logs: one JSON object a line, or coloured text on a terminal; secrets left out.

Motet's modules log through the standard library, so that a program which embeds them
decides where it goes. `configure_logs` is for the process that is Motet's own.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, TextIO

from motet.telemetry.secrets import hide_named

if TYPE_CHECKING:
    from structlog.typing import Processor


class BoundLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose every line carries the same names: the group, the partition."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, object]
    ) -> tuple[object, MutableMapping[str, object]]:
        """Add the bound names to those of the call."""
        given = kwargs.get("extra")
        kwargs["extra"] = {**(self.extra or {}), **(given if isinstance(given, Mapping) else {})}
        return msg, kwargs


def bind(name: str, **names: object) -> BoundLogger:
    """Return the logger `name` with names bound: `bind("motet.runtime", group="inventory")`."""
    return BoundLogger(logging.getLogger(name), names)


def _redact(
    logger: object, method: str, line: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    return {
        name: value if name.startswith("_") else hide_named(name, value)
        for name, value in line.items()
    }


def configure_logs(
    *, level: str = "INFO", as_json: bool | None = None, stream: TextIO | None = None
) -> None:
    """Send this process's logs to `stream`, standard output by default.

    `as_json=None` writes JSON unless the stream is a terminal. Replaces what was
    configured before, uvicorn's and the standard library's loggers included.
    """
    import structlog  # 150 ms that a process which only publishes need not pay

    target = stream if stream is not None else sys.stdout
    colours = target.isatty()
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    if as_json is None:
        as_json = not colours
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,  # text: tracebacks with locals would show payloads
        _redact,
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="time"),
    ]
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # At INFO uvicorn tells of its own start and end; the command that runs it does, too.
    logging.getLogger("uvicorn").setLevel(
        logging.WARNING if root.level == logging.INFO else logging.NOTSET
    )
