"""Names of metrics, how they are counted, and structured logs."""

from motet.telemetry.families import FAMILIES, Family, Kind
from motet.telemetry.lag import Lag, Readers, depths, lags
from motet.telemetry.logs import bind, configure_logs
from motet.telemetry.metrics import Metrics
from motet.telemetry.secrets import masked

__all__ = [
    # metrics
    "FAMILIES",
    "Family",
    "Kind",
    "Metrics",
    # how far behind consumer groups are
    "Lag",
    "Readers",
    "depths",
    "lags",
    # logs
    "bind",
    "configure_logs",
    # secrets left out of what is shown
    "masked",
]
