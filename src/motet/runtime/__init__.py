"""The loop that runs processors: workers, retries and dead letters, the outbox relay."""

from motet.runtime.delivery import TransportDelivery
from motet.runtime.failure_topics import FailureTopics
from motet.runtime.relay import Relay
from motet.runtime.retry_topics import Retrying, RetryReader
from motet.runtime.running import Running
from motet.runtime.settings import Settings
from motet.runtime.ticker import Ticker
from motet.runtime.worker import Worker

__all__ = [
    "FailureTopics",
    "Relay",
    "Retrying",
    "RetryReader",
    "Running",
    "Settings",
    "Ticker",
    "TransportDelivery",
    "Worker",
]
