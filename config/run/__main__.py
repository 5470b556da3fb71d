"""`python -m config.run COMMAND`: what the Makefile calls."""

from __future__ import annotations

import importlib
import sys

from config.run.errors import RunError

COMMANDS = {
    "test-services": "config.run.testing:services_main",
}


def main(arguments: list[str]) -> int:
    name, *rest = arguments or ["help"]
    if name not in COMMANDS:
        sys.stderr.write(f"Commands: {', '.join(COMMANDS)}\n")
        return 2
    module, function = COMMANDS[name].split(":")
    try:
        return int(getattr(importlib.import_module(module), function)(rest))
    except RunError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
