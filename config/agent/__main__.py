"""`python -m config.agent`, which `bin/obsera-agent` calls."""

import os
import sys

import django


def run() -> int:
    """Set the agent's own settings up, whatever the environment names, and run it."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.agent"
    django.setup()
    from config.agent.process import main  # noqa: PLC0415 - its models need the settings

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
