"""The loop that runs processors: workers, retries and dead letters, the outbox relay."""

from motet.runtime.delivery import TransportDelivery
from motet.runtime.relay import Relay
from motet.runtime.running import Running
from motet.runtime.settings import Settings
from motet.runtime.ticker import Ticker
from motet.runtime.worker import Worker

__all__ = ["Relay", "Running", "Settings", "Ticker", "TransportDelivery", "Worker"]
