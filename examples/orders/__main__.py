"""`python -m examples.orders` is `motet demo`."""

import sys

from motet.cli import main

sys.exit(main(["demo", *sys.argv[1:]]))
