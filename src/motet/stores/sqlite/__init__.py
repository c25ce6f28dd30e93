"""The SQLite store: progress, state, streams, outbox and dead letters in one file."""

from motet.drivers.sqlite import Database, diagnose, open_database, parse_url
from motet.stores.sqlite.store import SqliteStore

__all__ = ["Database", "SqliteStore", "diagnose", "open_database", "parse_url"]
