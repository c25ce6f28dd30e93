"""What every backend promises, as classes of tests over one factory.

The whole of a backend's own file:

```python
class TestMemoryTransport(TransportContract):
    guarantees = MemoryTransport.guarantees

    @asynccontextmanager
    async def make(self) -> AsyncIterator[Transport]:
        yield MemoryTransport(MemoryLog(SystemClock()))
```

The suites need pytest and pytest-asyncio in its auto mode. They wait for conditions, never for
a time, so they run on backends with real sockets and disks as well as in simulated time.
"""

import pytest

pytest.register_assert_rewrite(
    "motet.testing.contracts.consuming",
    "motet.testing.contracts.dead_letters",
    "motet.testing.contracts.delivery",
    "motet.testing.contracts.inbox",
    "motet.testing.contracts.keeping",
    "motet.testing.contracts.parking",
    "motet.testing.contracts.shared",
    "motet.testing.contracts.store",
    "motet.testing.contracts.streams",
    "motet.testing.contracts.transport",
)

from motet.testing.contracts.keeping import (  # noqa: E402
    KeepingTransport,
    ProgressKeeperContract,
)
from motet.testing.contracts.shared import SharedTransactionContract  # noqa: E402
from motet.testing.contracts.store import StoreContract  # noqa: E402
from motet.testing.contracts.streams import EventStoreContract  # noqa: E402
from motet.testing.contracts.transport import TransportContract  # noqa: E402

__all__ = [
    "EventStoreContract",
    "KeepingTransport",
    "ProgressKeeperContract",
    "SharedTransactionContract",
    "StoreContract",
    "TransportContract",
]
