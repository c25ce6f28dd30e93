"""The figures the runtime goes by, with defaults for one machine."""

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker fetches, waits and limits itself."""

    max_records: int = 1000  # most records in one batch
    poll_s: float = 1.0  # longest wait of one fetch; also how soon a redrive is noticed
    max_in_flight: int = 100  # most records handled at once, over all partitions of a processor
    target_latency_s: float = 1.0  # above 1.5 times this, fewer are handled at once
    drain_s: float = 30.0  # how long a stop waits for work in hand
