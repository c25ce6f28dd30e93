"""URLs become transports, stores and sources here, and nowhere else."""

from motet.backends.opening import (
    Backends,
    broker,
    connect,
    database_file,
    diagnose,
    open_store,
    open_transport,
)
from motet.backends.schemes import DEFAULT_URL
from motet.backends.sources import Cache, open_cache, open_source, source_of

__all__ = [
    # Transport and store
    "DEFAULT_URL",
    "Backends",
    "broker",
    "connect",
    "database_file",
    "diagnose",
    "open_store",
    "open_transport",
    # Sources and caches
    "Cache",
    "open_cache",
    "open_source",
    "source_of",
]
