"""One SQLite file: writer, log, news, presence. Shared by the SQLite transport and store."""

from motet.drivers.beside import beside
from motet.drivers.sqlite import members, upkeep
from motet.drivers.sqlite.append import Appender, Recheck
from motet.drivers.sqlite.connection import Location, parse_url, translated
from motet.drivers.sqlite.database import Database, open_database
from motet.drivers.sqlite.doctor import diagnose
from motet.drivers.sqlite.log import Prepared, Topic, prepare, prepare_checked
from motet.drivers.sqlite.statements import Row, Value, array
from motet.drivers.sqlite.transaction import Transaction

__all__ = [
    "Appender",
    "Database",
    "Location",
    "Prepared",
    "Recheck",
    "Row",
    "Topic",
    "Transaction",
    "Value",
    "array",
    "beside",
    "diagnose",
    "members",
    "open_database",
    "parse_url",
    "prepare",
    "prepare_checked",
    "translated",
    "upkeep",
]
