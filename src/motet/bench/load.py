"""What the processes of a benchmark have to agree on."""

import msgspec


class PipelineLoad(msgspec.Struct, frozen=True):
    """What both processes have to agree on."""

    events: int
    size_bytes: int  # of one event on the wire, about
    batch: int
    keys: int
    rate_per_s: float = 0.0  # 0: as fast as it goes


class RawCase(msgspec.Struct, frozen=True):
    """What the bare script does."""

    events: int
    size_bytes: int
    batch: int
    blocks: bool
