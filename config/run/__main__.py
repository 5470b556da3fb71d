"""`python -m config.run COMMAND`: what the Makefile calls.

This module runs on the machine's own Python at first, hence the standard library alone.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass

from config.run.bootstrap import continue_in_venv, is_in_venv, set_up
from config.run.errors import RunError, explain_os_error


@dataclass(frozen=True)
class Command:
    """A function of one list of arguments, and what must be installed before it runs."""

    target: str
    help: str
    is_dev: bool = True


COMMANDS = {
    "serve": Command("config.run.serve:main", "set everything up and serve the product", is_dev=False),
    "setup": Command("config.run.prepare:main", "set everything up, start nothing", is_dev=False),
    "demo-outage": Command("config.run.demo:main", "break the example target and mend it again", is_dev=False),
    "manage": Command("config.run.manage:main", "manage.py against the embedded services", is_dev=False),
    "test": Command("config.run.testing:suite_main", "the whole test suite on real services"),
    "test-services": Command("config.run.testing:services_main", "only the services of the tests, in the foreground"),
    "ci": Command("config.run.ci:main", "every check: lint, format, types, imports, migrations, translations, tests"),
    "check": Command("config.run.ci:one_main", "single checks by name"),
    "translations": Command("config.run.translations:main", "bring locale/ up to date with the strings in the code"),
    "bench": Command("config.run.bench:main", "one benchmark of bench/ by name"),
}
# What `make` itself does with these when a run is cancelled is print them; shells expect 130.
EXIT_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Set up what the command needs, then hand over to it inside the virtual environment."""
    name, *rest = arguments or ["help"]
    command = COMMANDS.get(name)
    if command is None:
        for known, described in COMMANDS.items():
            sys.stderr.write(f"{known:<15}{described.help}\n")
        return 2
    try:
        if not is_in_venv() or not os.environ.get("OBSERA_IS_SET_UP"):
            set_up(is_dev=command.is_dev)
            os.environ["OBSERA_IS_SET_UP"] = "1"
            continue_in_venv(arguments)
        module, function = command.target.split(":")
        return int(getattr(importlib.import_module(module), function)(rest))
    except RunError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    except OSError as error:
        if os.environ.get("OBSERA_DEBUG"):
            raise
        sys.stderr.write(f"\n{explain_os_error(error)}\n")
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
