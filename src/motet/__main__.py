"""`python -m motet` is the command `motet`, for where the scripts folder is not on the path."""

import sys

from motet.cli import main

sys.exit(main())
