"""The SQLite transport: topics and consumer groups in one file, for processes of a machine."""

from motet.drivers.sqlite import Database, open_database
from motet.transports.sqlite.transport import SqliteTransport

__all__ = ["Database", "SqliteTransport", "open_database"]
