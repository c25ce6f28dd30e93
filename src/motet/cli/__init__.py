"""The command line: `motet`."""

from motet.cli.program import main

__all__ = ["main"]
