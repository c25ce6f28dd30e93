"""What a handler may ask about its own call."""

import msgspec

from motet.core.event import Partition


class Context(msgspec.Struct, frozen=True, gc=False):
    """When, where and for which time a handler is called."""

    now_us: int  # microseconds since the Unix epoch; the same for a whole batch
    attempt: int  # 1 on the first try; of a batch: the highest among its records
    group: str  # the consumer group
    partition: Partition  # where the event was read
