"""What the processes of a benchmark have to agree on."""

import msgspec

PARTITIONS = 4  # of each topic on a broker


class PipelineLoad(msgspec.Struct, frozen=True):
    """Events that go through the pipeline."""

    events: int
    size_bytes: int  # of one event on the wire, about
    batch: int
    keys: int
    rate_per_s: float = 0.0  # 0: as fast as it goes


class BrokerLoad(PipelineLoad, frozen=True, kw_only=True):
    """Events that go through a broker, and how."""

    url: str
    name: str  # fresh for each run: all that is made on the broker begins with it
    mode: str = ""  # one of the variants a module knows
    folder: str = ""  # where a store's file goes

    @property
    def source(self) -> str:
        """The topic that is read."""
        return f"{self.name}-in"

    @property
    def sink(self) -> str:
        """The topic that is written."""
        return f"{self.name}-out"


class RawCase(msgspec.Struct, frozen=True):
    """What the bare script does on SQLite."""

    events: int
    size_bytes: int
    batch: int
    blocks: bool
