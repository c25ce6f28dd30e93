"""For tests of apps and backends: simulated time, faults from a seed or of the network, events.

The suites a backend has to pass are in `motet.testing.contracts` (they need pytest and
pytest-asyncio), the comparison of a store with its model in `motet.testing.machines` (Hypothesis).
"""

from motet.testing.events import make_event, make_events
from motet.testing.faults import FaultPlan, Faults
from motet.testing.faulty import FaultyLease, FaultyStore, FaultyTransport
from motet.testing.handling import Emitted, Handled, handle
from motet.testing.proxy import FaultProxy
from motet.testing.relay import Direction
from motet.testing.simloop import Deadlock, OutOfSteps, SimLoop
from motet.testing.simulation import START_US, SimClock, TaskLeak, simulate, until

__all__ = [
    # events
    "make_event",
    "make_events",
    # one handler
    "Emitted",
    "Handled",
    "handle",
    # simulated time
    "START_US",
    "Deadlock",
    "OutOfSteps",
    "SimClock",
    "SimLoop",
    "TaskLeak",
    "simulate",
    "until",
    # faults
    "FaultPlan",
    "Faults",
    "FaultyLease",
    "FaultyStore",
    "FaultyTransport",
    # faults of the network
    "Direction",
    "FaultProxy",
]
