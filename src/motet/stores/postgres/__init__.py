"""The PostgreSQL store: progress, state, streams, outbox and dead letters in one schema."""

from motet.drivers.postgres import Database, diagnose, open_database
from motet.stores.postgres.store import PostgresStore

__all__ = ["Database", "PostgresStore", "diagnose", "open_database"]
