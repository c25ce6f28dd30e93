"""Plain functions, turned into processors."""

from motet.handlers.context import Context
from motet.handlers.drafts import Draft, emit
from motet.handlers.gather import Gathered, Reply, ScatterGather
from motet.handlers.handler import DeliveryMode, Handler, OnFailure, Options
from motet.handlers.processor import FunctionProcessor
from motet.handlers.registry import Compiled, Handlers
from motet.handlers.schedules import Schedule
from motet.handlers.state import State
from motet.handlers.threads import Threads

__all__ = [
    # what a function takes and returns
    "Context",
    "Draft",
    "State",
    "emit",
    # declaring
    "DeliveryMode",
    "Handler",
    "Handlers",
    "OnFailure",
    "Options",
    "Schedule",
    # scatter-gather
    "Gathered",
    "Reply",
    "ScatterGather",
    # compiled
    "Compiled",
    "FunctionProcessor",
    "Threads",
]
