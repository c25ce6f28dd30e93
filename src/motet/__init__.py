"""Motet: an event log, and handlers whose effects are committed once, with their progress."""

from motet.app import App
from motet.backends import DEFAULT_URL, Backends, connect
from motet.core.errors import (
    BacklogFull,
    BreakerOpen,
    CodecError,
    ConcurrencyError,
    ConfigError,
    Fenced,
    HandlerError,
    MotetError,
    TransientError,
    Unavailable,
    WrongVersion,
)
from motet.core.event import Event, Partition, Record
from motet.core.extras import Open
from motet.core.outcome import Append, Emit, Outcome, Put
from motet.core.schemas import event
from motet.handlers import Context, Draft, Gathered, State, emit
from motet.resilience import RetryPolicy
from motet.runtime import Settings

__version__ = "0.1.0"

__all__ = [
    # programs
    "App",
    "Settings",
    # where they run
    "Backends",
    "DEFAULT_URL",
    "connect",
    # events
    "Event",
    "Open",
    "Partition",
    "Record",
    "event",
    # handlers
    "Context",
    "Draft",
    "Gathered",
    "RetryPolicy",
    "State",
    "emit",
    # outcomes
    "Append",
    "Emit",
    "Outcome",
    "Put",
    # errors
    "BacklogFull",
    "BreakerOpen",
    "CodecError",
    "ConcurrencyError",
    "ConfigError",
    "Fenced",
    "HandlerError",
    "MotetError",
    "TransientError",
    "Unavailable",
    "WrongVersion",
]
