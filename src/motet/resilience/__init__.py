"""Policies as values: they decide, the runtime waits."""

from motet.resilience.backpressure import BackPressure
from motet.resilience.retry import RetryPolicy, retryable

__all__ = ["BackPressure", "RetryPolicy", "retryable"]
