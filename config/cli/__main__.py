"""`python -m config.cli`, which `bin/obsera` calls."""

import sys

from config.cli.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
