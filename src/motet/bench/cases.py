"""What a pipeline benchmark is asked to measure."""

from collections.abc import Callable

import msgspec

EMBEDDED = "embedded"

Progress = Callable[[str], None]
"""Told of each step, in words."""


class PipelineCase(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure."""

    transport: str = EMBEDDED
    url: str = ""  # of the broker
    events: int = 0  # 0: as many as suit the transport
    size_bytes: int = 400
    batch: int = 1000
    keys: int = 5_000
    runs: int = 5
    synchronous: str = "full"
    folder: str = ""  # where the files go; empty: the system's folder for temporary files
    latency: bool = True
    only: tuple[str, ...] = ()  # contestants on a broker; empty: all
