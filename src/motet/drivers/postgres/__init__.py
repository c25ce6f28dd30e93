"""One PostgreSQL schema: pool, writers, news of commits, migrations, upkeep."""

from motet.drivers.postgres import upkeep
from motet.drivers.postgres.database import Database, open_database
from motet.drivers.postgres.doctor import diagnose
from motet.drivers.postgres.options import FORM, Options, parse
from motet.drivers.postgres.transaction import Transaction

__all__ = [
    "FORM",
    "Database",
    "Options",
    "Transaction",
    "diagnose",
    "open_database",
    "parse",
    "upkeep",
]
